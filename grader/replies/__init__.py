"""From a reply of a model to the source text that is graded."""
