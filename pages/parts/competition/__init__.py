"""Drawn pieces of the Competition page."""
