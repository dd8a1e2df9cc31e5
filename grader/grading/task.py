"""What whoever solves a challenge is asked, and trying an answer on its public cases before it is graded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

from grader.grading.challenge import DEFAULT_SEED, Challenge, Input
from grader.grading.registry import DEFAULT_CHALLENGE
from grader.grading.registry import challenge as find_challenge
from grader.grading.reply import grade_reply
from grader.grading.report import Report
from grader.sandbox.judge.sandbox import Sandbox

SHOWN_FAILURES = 3
"""So many failed checks go back at once: a small model loses a long list."""


@dataclass(frozen=True)
class PublicTry:
    """What a reply does on the public cases: the share of their points, 0 to 1, and what fails, and why."""

    share: float
    feedback: str


def task_request(challenge: str | Challenge = DEFAULT_CHALLENGE) -> str:
    """The question put to the agents: the brief, the faulty baseline, and the form the answer must have."""
    task = find_challenge(challenge) if isinstance(challenge, str) else challenge
    return (
        f"{task.brief.strip()}\n\n"
        f"This first attempt has bugs:\n\n```python\n{task.baseline.strip()}\n```\n\n"
        f"Write a correct `{task.signature}`. "
        "Answer with the complete function in one Python code block."
    )


def task_messages(challenge: str | Challenge = DEFAULT_CHALLENGE) -> list[dict[str, str]]:
    """The same as a conversation of one message. Raises UnknownChallenge."""
    return [{"role": "user", "content": task_request(challenge)}]


def try_public_cases(
    reply: str, challenge: str | Challenge = DEFAULT_CHALLENGE, sandbox: Sandbox | None = None
) -> PublicTry:
    """Run a reply on the cases that everybody can see, and on nothing else. Raises what `grade` raises."""
    task = find_challenge(challenge) if isinstance(challenge, str) else challenge
    public = _public_only(task)
    report = grade_reply(reply, public, DEFAULT_SEED, sandbox)
    if report.refusal:
        return PublicTry(0.0, report.refusal)
    return PublicTry(_share(report), _feedback(report))


@cache
def _public_only(task: Challenge) -> Challenge:
    """The challenge with the public inputs of its checks alone; every family stays, some with nothing to run.

    Groups of cases that are no check of their own stay whole: they tell a useless function by its results.
    """
    names = {check.name for check in task.checks}
    plan = {
        name: tuple(replace(family, inputs=_public(family.inputs)) for family in families)
        if name in names
        else families
        for name, families in task.plan(DEFAULT_SEED).items()
    }
    return replace(task, plan=lambda seed: plan)


def _public(inputs: Sequence[Input]) -> tuple[Input, ...]:
    return tuple(each for each in inputs if each.public)


def _share(report: Report) -> float:
    """Points of the checks that have public cases, by the share of those that did not fail."""
    earned = total = 0.0
    for check in report.checks:
        tried = [case for case in check.cases if case.runs]
        if tried:
            total += check.max_score
            passed = sum(case.status != "failed" for case in tried) / len(tried)
            earned += min(check.score, check.max_score * passed)
    return earned / total if total else 0.0


def _feedback(report: Report) -> str:
    """The messages of the failed checks, the dearest first."""
    failed = [check for check in report.checks if any(case.status == "failed" for case in check.cases)]
    failed.sort(key=lambda check: check.score - check.max_score)
    return "\n".join(f"- {check.name}: {check.message}" for check in failed[:SHOWN_FAILURES])
