"""The challenge `free_slots`: intervals of a day, 8 checks, 100 points."""

from grader.challenges.free_slots.checks import CHALLENGE

__all__ = ["CHALLENGE"]
