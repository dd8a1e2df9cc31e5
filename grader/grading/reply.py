"""From a model's reply to its grade: one way for the page, the command line and the Lab."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from grader.grading.challenge import DEFAULT_SEED, Challenge
from grader.grading.grade import grade
from grader.grading.refusals import refused
from grader.grading.registry import DEFAULT_CHALLENGE
from grader.grading.registry import challenge as find_challenge
from grader.grading.report import Report
from grader.replies.extraction import Extraction, extract_code
from grader.sandbox.judge.sandbox import Sandbox


@dataclass(frozen=True)
class GradedReply:
    """What was taken out of a reply, and the report on it."""

    extraction: Extraction
    report: Report


@dataclass(frozen=True)
class Score:
    """A grade as the Lab reads it. value: points of maximum; detail: plain JSON data to look at later."""

    value: float
    maximum: float
    detail: dict[str, Any]


def read_and_grade(
    reply: str,
    challenge: str | Challenge = DEFAULT_CHALLENGE,
    seed: int | None = None,
    sandbox: Sandbox | None = None,
) -> GradedReply:
    """Take the code out of a reply and grade it; what was dropped becomes a note of the report.

    A reply without the function gets 0 points with that reason. Raises what `grade` raises.
    """
    task = find_challenge(challenge) if isinstance(challenge, str) else challenge
    found = extract_code(reply, task.function_name)
    if not found.found:
        return GradedReply(found, refused(task, DEFAULT_SEED if seed is None else int(seed), found.reason))
    report = grade(found.code, task, seed, sandbox)
    dropped = tuple(f"left out of the reply: {each}" for each in found.dropped)
    return GradedReply(found, replace(report, notes=(*dropped, *report.notes)))


def grade_reply(
    reply: str,
    challenge: str | Challenge = DEFAULT_CHALLENGE,
    seed: int | None = None,
    sandbox: Sandbox | None = None,
) -> Report:
    """The report of `read_and_grade`."""
    return read_and_grade(reply, challenge, seed, sandbox).report


def score_reply(reply: str, challenge: str | Challenge = DEFAULT_CHALLENGE, seed: int | None = None) -> Score:
    """The grade of a reply for the Lab, which tries many; a module-level function, so that it can travel
    to other processes and machines.

    detail: {"code": what was graded, "report": the report's `to_dict()`}. Raises what `grade` raises.
    """
    graded = read_and_grade(reply, challenge, seed)
    report = graded.report
    return Score(report.score, report.max_score, {"code": graded.extraction.code, "report": report.to_dict()})
