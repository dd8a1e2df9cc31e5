"""Drawn pieces of the Host page."""
