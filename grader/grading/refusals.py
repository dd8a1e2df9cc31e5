"""Why a submission was not run, as sentences for the student."""

from __future__ import annotations

from collections.abc import Sequence

from grader.grading.challenge import Challenge, Outcome
from grader.grading.display import shorten
from grader.grading.report import CheckResult, Report
from grader.sandbox.judge.sandbox import SandboxRun


def refused(
    task: Challenge, seed: int, reason: str, isolation: Sequence[str] = (), notes: Sequence[str] = ()
) -> Report:
    """The report of a submission that was not run: no points, and the reason at every check."""
    checks = tuple(
        CheckResult(c.name, c.category, 0.0, float(c.points), f"Not run: {reason}.") for c in task.checks
    )
    return Report(task.name, seed, checks, reason, tuple(notes), tuple(isolation))


def why_not_run(run: SandboxRun, task: Challenge, source: str) -> str:
    """Why no case was run, as a sentence for the student; "" when the cases were run."""
    if run.stopped == "syntax":
        lines = source.splitlines()
        if 0 < run.line <= len(lines):
            return f"line {run.line} is not valid Python 3.11: {shorten(lines[run.line - 1].strip(), 80)!r}"
        return "the source is not valid Python 3.11 or is nested too deeply"
    if run.stopped == "refused":
        line, reason = run.findings[0]
        more = f" (and {len(run.findings) - 1} more)" if len(run.findings) > 1 else ""
        return f"refused: line {line}: {reason}{more}" if line else f"refused: {reason}"
    if run.stopped == "undefined":
        return f"the source defines no function `{task.function_name}` at its top level"
    if run.stopped == "load":
        return _why_not_loaded(run, task)
    return ""


def _why_not_loaded(run: SandboxRun, task: Challenge) -> str:
    problem = run.problem or {}
    if isinstance(problem.get("ending"), Outcome):
        ending = problem["ending"]
        if ending.kind == "timeout":
            return "loading the source did not finish in time"
        return f"loading the source ended its process ({ending.error})"
    if problem.get("type"):
        place = f" in line {problem['line']}" if problem.get("line") else ""
        hint = (
            "; only the standard library is available"
            if "Import" in problem["type"] or "Module" in problem["type"]
            else ""
        )
        return f"loading the source raised {problem['type']}{place}{hint}"
    return f"after loading the source there is no function `{task.function_name}`"
