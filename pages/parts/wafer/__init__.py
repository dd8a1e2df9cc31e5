"""Drawn pieces of the Wafer page."""
