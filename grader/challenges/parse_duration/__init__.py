"""The challenge `parse_duration`: a small text parser, 7 checks, 100 points."""

from grader.challenges.parse_duration.checks import CHALLENGE

__all__ = ["CHALLENGE"]
