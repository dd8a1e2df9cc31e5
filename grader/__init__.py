"""Challenges, the sandbox submissions run in, the checks that judge them, and the score."""

from grader.challenge import Challenge, Check, PublicCase
from grader.errors import (
    BadChallenge,
    BadReport,
    GraderError,
    SandboxError,
    SandboxFailed,
    SandboxUnavailable,
    UnknownChallenge,
)
from grader.extraction import Extraction, extract_code
from grader.grading import grade
from grader.registry import challenge, challenges
from grader.replies import grade_reply
from grader.report import CaseResult, CheckResult, Report, letter

__all__ = [
    "BadChallenge",
    "BadReport",
    "CaseResult",
    "Challenge",
    "Check",
    "CheckResult",
    "Extraction",
    "GraderError",
    "PublicCase",
    "Report",
    "SandboxError",
    "SandboxFailed",
    "SandboxUnavailable",
    "UnknownChallenge",
    "challenge",
    "challenges",
    "extract_code",
    "grade",
    "grade_reply",
    "letter",
]
