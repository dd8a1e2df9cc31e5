"""The calls of one grade: each distinct call is made once, and its outcome remembered."""

from __future__ import annotations

from collections.abc import Sequence

from grader.grading.challenge import Challenge, Family, FunctionCall, Outcome, Verdict
from grader.sandbox.judge.sandbox import Sandbox, SandboxRun


class Calls:
    """Runs calls of one submission in the sandbox. left_s: wall time left for the whole grade."""

    def __init__(self, task: Challenge, source: str, box: Sandbox) -> None:
        self._task = task
        self._source = source
        self._box = box
        self._outcomes: dict[tuple[str, bytes, bool], Outcome] = {}
        self._fields = sorted(set(task.fields.values()))
        self.left_s = box.limits.wall_s

    def run_plan(self, seed: int) -> SandboxRun:
        """Make every call of the seed's plan."""
        return self.run(
            [
                (group, call)
                for group, families in self._task.plan(seed).items()
                for family in families
                for calls in family.planned
                for call in calls
            ]
        )

    def run(self, calls: Sequence[tuple[str, FunctionCall]]) -> SandboxRun:
        """Make the calls that were not made yet, each with its group's name, and remember their outcomes."""
        wanted = {}
        for group, call in calls:
            key = (group, call.text, call.counted)
            if key not in self._outcomes:
                wanted[key] = (group, call)
        run = self._box.run(
            self._source,
            self._task.function_name,
            list(wanted.values()),
            wall_s=self.left_s,
            fields=self._fields,
        )
        self.left_s = max(0.01, self.left_s - run.wall_s)
        self._outcomes.update(zip(wanted, run.outcomes, strict=True))
        return run

    def outcomes_of(self, group: str, calls: Sequence[FunctionCall]) -> list[Outcome]:
        """What these calls, made before, came to."""
        return [self._outcomes[(group, call.text, call.counted)] for call in calls]

    def judge(self, group: str, family: Family) -> Verdict:
        """Every input of a family with its outcomes, and what is wrong with them."""
        verdict = Verdict(group, family)
        for each, calls in zip(family.inputs, family.planned, strict=True):
            outcomes = self.outcomes_of(group, calls)
            verdict.seen.append((each.args, outcomes))
            fault = family.judge(each.args, outcomes)
            if fault:
                verdict.faults.append((each, fault))
        return verdict
