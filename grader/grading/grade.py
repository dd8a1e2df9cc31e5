"""A grade from beginning to end: the source runs on every case, outcomes are judged, the points settled."""

from __future__ import annotations

from collections.abc import Mapping

from grader.grading.calls import Calls
from grader.grading.challenge import DEFAULT_SEED, Challenge, Fault, Input, Verdict
from grader.grading.pack_grade import grade_by_test
from grader.grading.refusals import refused, why_not_run
from grader.grading.registry import DEFAULT_CHALLENGE
from grader.grading.registry import challenge as find_challenge
from grader.grading.report import Report
from grader.grading.settling import Settling
from grader.grading.shrinking import Shrunk, shrink
from grader.sandbox.judge.sandbox import Sandbox, SandboxRun, default_sandbox


def grade(
    source: str,
    challenge: str | Challenge = DEFAULT_CHALLENGE,
    seed: int | None = None,
    sandbox: Sandbox | None = None,
) -> Report:
    """Score a submission. Runs it in a process of its own; thread-safe; the same arguments give the same
    report.

    seed draws the hidden cases (None: the default seed). A submission that cannot be run gets a report with 0
    points and the reason. Raises UnknownChallenge, SandboxUnavailable or SandboxFailed.
    """
    task = find_challenge(challenge) if isinstance(challenge, str) else challenge
    box = sandbox or default_sandbox()
    used_seed = DEFAULT_SEED if seed is None else int(seed)
    unfit = _why_unfit(source, box)
    if unfit:
        return refused(task, used_seed, unfit)
    if task.test:
        return grade_by_test(task, used_seed, source, box)

    calls = Calls(task, source, box)
    run = calls.run_plan(used_seed)
    notes = tuple(f"line {line}: {reason}" for line, reason in run.notes)
    refusal = why_not_run(run, task, source)
    if refusal:
        return refused(task, used_seed, refusal, run.isolation, notes)

    verdicts = {
        group: [calls.judge(group, family) for family in families]
        for group, families in task.plan(used_seed).items()
    }
    _add_mutations(verdicts)
    caps = task.settle(verdicts)
    settling = Settling(task, _shrunk(verdicts, run, calls), run.origins)
    checks = tuple(
        settling.check_result(check, verdicts[check.name], caps.get(check.name)) for check in task.checks
    )
    return Report(task.name, used_seed, checks, None, (*notes, *_load_notes(run)), run.isolation)


def _why_unfit(source: str, box: Sandbox) -> str:
    """Why a source is not even looked at; "" when it is."""
    size = len(source.encode("utf-8", "replace"))
    if size > box.limits.source_bytes:
        return f"the source has {size:,} bytes; at most {box.limits.source_bytes:,} are graded"
    return "" if source.strip() else "the submission is empty"


def _add_mutations(verdicts: Mapping[str, list[Verdict]]) -> None:
    """Whoever judges mutation sees every call of the grade."""
    judges = [v for group in verdicts.values() for v in group if v.family.judges_mutation]
    for group in verdicts.values():
        for verdict in group:
            for args, outcomes in verdict.seen:
                changed = next((outcome for outcome in outcomes if outcome.mutated), None)
                if changed is None:
                    continue
                fault = Fault("mutated", "the input was changed", "the caller's data as it was", changed)
                for judge in judges:
                    if judge is not verdict:
                        judge.faults.append((Input(args), fault))


def _shrunk(verdicts: Mapping[str, list[Verdict]], run: SandboxRun, calls: Calls) -> Shrunk:
    """Smaller inputs, unless the submission is slow: its time is used up."""
    is_slow = run.stopped == "limit" or any(each.kind == "timeout" for each in run.outcomes)
    return {} if is_slow else shrink(verdicts, calls)


def _load_notes(run: SandboxRun) -> tuple[str, ...]:
    if not run.problem:
        return ()
    where = f" in line {run.problem['line']}" if run.problem.get("line") else ""
    raised = f"the code outside the function raised {run.problem['type']}{where}"
    return (f"{raised}; the function was graded all the same",)
