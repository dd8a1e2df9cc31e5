"""Grading by a pack's own test: pass or fail."""

from __future__ import annotations

from grader.grading.challenge import Challenge, Outcome
from grader.grading.display import shorten
from grader.grading.refusals import refused, why_not_run
from grader.grading.report import CheckResult, Report
from grader.sandbox.judge.sandbox import Sandbox


def grade_by_test(task: Challenge, seed: int, source: str, box: Sandbox) -> Report:
    """Pass or fail by the pack's own `check(candidate)`."""
    lead = f"{task.preamble}\n" if task.preamble else ""
    run = box.run(lead + source, task.function_name, [], check=task.test)
    offset = lead.count("\n")
    run.line = max(0, run.line - offset)
    run.findings = [(max(0, line - offset), reason) for line, reason in run.findings]
    refusal = why_not_run(run, task, source)
    if refusal:
        return refused(task, seed, refusal, run.isolation)
    outcome, check = run.outcomes[0], task.checks[0]
    if outcome.ok:
        message, score = "The task's own test passes.", float(check.points)
    else:
        message, score = f"The task's own test fails: {_why_test_failed(outcome, task.test)}.", 0.0
    return Report(
        task.name,
        seed,
        (CheckResult(check.name, check.category, score, float(check.points), message),),
        sandbox=run.isolation,
    )


def _why_test_failed(outcome: Outcome, test: str) -> str:
    if outcome.kind == "timeout":
        return "it did not finish in time"
    if outcome.kind != "raised":
        return f"the process ended ({outcome.error})"
    lines = test.splitlines()
    where = f" at `{shorten(lines[outcome.line - 1].strip(), 160)}`" if 0 < outcome.line <= len(lines) else ""
    return f"{outcome.error}{where}"
