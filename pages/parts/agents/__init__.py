"""Pieces of the Agents page."""
