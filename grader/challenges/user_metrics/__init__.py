"""The challenge `user_metrics`: a function over user records, 11 checks, 120 points."""

from grader.challenges.user_metrics.checks import CHALLENGE

__all__ = ["CHALLENGE"]
