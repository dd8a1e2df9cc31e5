"""Challenges, the sandbox submissions run in, the checks that judge them, and the score."""

from grader.errors import (
    BadChallenge,
    BadReport,
    GraderError,
    SandboxError,
    SandboxFailed,
    SandboxUnavailable,
    UnknownChallenge,
    UnusableFile,
)
from grader.grading.challenge import Challenge, Check, PublicCase
from grader.grading.grade import grade
from grader.grading.registry import challenge, challenges
from grader.grading.reply import GradedReply, Score, grade_reply, read_and_grade, score_reply
from grader.grading.report import CaseResult, CheckResult, Report, letter
from grader.grading.task import PublicTry, task_messages, task_request, try_public_cases
from grader.grading.tryout import Tryout, try_input
from grader.replies.extraction import Extraction, extract_code

__all__ = [
    "BadChallenge",
    "BadReport",
    "CaseResult",
    "Challenge",
    "Check",
    "CheckResult",
    "Extraction",
    "GradedReply",
    "GraderError",
    "PublicCase",
    "PublicTry",
    "Report",
    "SandboxError",
    "SandboxFailed",
    "SandboxUnavailable",
    "Score",
    "Tryout",
    "UnknownChallenge",
    "UnusableFile",
    "challenge",
    "challenges",
    "extract_code",
    "grade",
    "grade_reply",
    "letter",
    "read_and_grade",
    "score_reply",
    "task_messages",
    "task_request",
    "try_input",
    "try_public_cases",
]
