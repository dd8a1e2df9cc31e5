"""The challenge `birthdays`: names as people type them, and the calendar's hard days."""

from grader.challenges.birthdays.checks import CHALLENGE

__all__ = ["CHALLENGE"]
