"""Grading a text that is either Python source or a model's whole reply."""

from __future__ import annotations

from dataclasses import replace

from grader.grading.challenge import DEFAULT_SEED, Challenge
from grader.grading.grade import grade, refused
from grader.grading.registry import DEFAULT_CHALLENGE
from grader.grading.registry import challenge as find_challenge
from grader.grading.report import Report
from grader.replies.extraction import MAX_REPLY_CHARS, Extraction, extract_code
from grader.replies.source_text import is_python
from grader.sandbox.judge.client import Sandbox

_CODE_STARTS = ("def ", "import ", "from ", "class ", "#", "@", '"""')


def grade_reply(
    reply: str,
    challenge: str | Challenge = DEFAULT_CHALLENGE,
    seed: int | None = None,
    sandbox: Sandbox | None = None,
) -> Report:
    """Score a model's reply: `extract_code`, then `grade`; what was dropped becomes a note.

    Text that is valid Python as it stands is graded whole. A reply without the function gets 0 points with
    that reason. Raises what `grade` raises.
    """
    task = find_challenge(challenge) if isinstance(challenge, str) else challenge
    found = submission_in(reply, task.function_name)
    if not found.found:
        return refused(task, DEFAULT_SEED if seed is None else int(seed), found.reason)
    report = grade(found.code, task, seed, sandbox)
    dropped = tuple(f"left out of the reply: {each}" for each in found.dropped)
    return replace(report, notes=(*dropped, *report.notes))


def submission_in(text: str, function_name: str) -> Extraction:
    """The submission in a text: all of it when it is Python, else what `extract_code` finds.

    Broken source without fences stays as it is, so that the report can name the line.
    """
    if len(text) <= MAX_REPLY_CHARS and is_python(text):
        return Extraction(text, function_name)
    found = extract_code(text, function_name)
    is_plain = "```" not in text and "~~~" not in text and text.lstrip().startswith(_CODE_STARTS)
    return Extraction(text, function_name) if is_plain and not found.found else found
