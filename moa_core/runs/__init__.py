"""A run: the plan before it, the calls in it, the events and the trace that come out."""
