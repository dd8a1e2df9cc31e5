"""The challenge `close_pairs`: how the work grows is half of the points."""

from grader.challenges.close_pairs.checks import CHALLENGE

__all__ = ["CHALLENGE"]
