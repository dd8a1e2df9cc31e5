"""The challenge `expiring_cache`: a class with state, whose bugs show only after many calls."""

from grader.challenges.expiring_cache.checks import CHALLENGE

__all__ = ["CHALLENGE"]
