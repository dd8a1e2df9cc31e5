"""From a source text to a report: challenges, cases, judging."""
