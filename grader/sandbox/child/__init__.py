"""The side of the process border that runs a submission: the warm parent and the children it forks."""
