"""Trying an answer on a challenge's public cases: where the grader meets the agents that test their work."""

from __future__ import annotations

from dataclasses import dataclass

from grader import try_public_cases
from moa_core import Checked


@dataclass(frozen=True)
class PublicCases:
    """Tries an answer on the public cases of a challenge; travels to other processes by its name."""

    challenge: str

    def __call__(self, reply: str) -> Checked:
        """What passed, and what failed in the grader's words. Raises GraderError, SandboxError."""
        tried = try_public_cases(reply, self.challenge)
        return Checked(tried.share, tried.feedback)
