"""Getting a published model file onto this disk, verified."""
