"""The side of the process border that judges: starts the others, watches the clock, reads results."""
