"""Pieces of the Lab page."""
