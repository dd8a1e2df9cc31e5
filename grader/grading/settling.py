"""From verdicts to the lines of a report: points, messages, the failing input and the line it comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from grader.grading.challenge import Args, Cap, Challenge, Check, Fault, Input, Verdict
from grader.grading.display import shorten, show
from grader.grading.report import CaseResult, CheckResult
from grader.grading.shrinking import Shrunk

_SHOWN = 260


@dataclass(frozen=True)
class Settling:
    """What the lines of one report are made from.

    shrunk: smaller failing inputs. origins: lines in which fields are made, by the line of the `return`.
    """

    task: Challenge
    shrunk: Shrunk
    origins: Mapping[int, Mapping[str, int]]

    def check_result(self, check: Check, verdicts: Sequence[Verdict], cap: Cap | None) -> CheckResult:
        """Points by weight over the families; one that is excused counts as passed."""
        score = round(check.points * min(_share(verdicts), cap.share if cap else 1.0), 2)
        failed = next((verdict for verdict in verdicts if verdict.status == "failed"), None)
        if failed is not None:
            message = self._failed_message(check, failed)
        else:
            message = cap.reason if cap else _passed_message(verdicts)
        cases = tuple(self._case_result(verdict) for verdict in verdicts)
        return CheckResult(check.name, check.category, score, float(check.points), message.strip(), cases)

    def _failed_message(self, check: Check, failed: Verdict) -> str:
        each, fault = self._shown(failed)
        line = self._line(fault)
        made = f" (made in line {line})" if line and fault.kind != "crash" else ""
        return (
            f"{failed.family.name}: {self._call(each.args)}: {fault.got}{made}. "
            f"Expected: {fault.expected}. {check.hint}"
        )

    def _case_result(self, verdict: Verdict) -> CaseResult:
        name, runs = verdict.family.name, len(verdict.family.inputs)
        if not verdict.faults:
            return CaseResult(name, verdict.status, runs)
        each, fault = self._shown(verdict)
        shown, got, expected = self._call(each.args), shorten(fault.got), shorten(fault.expected)
        return CaseResult(name, verdict.status, runs, shown, got, expected, self._line(fault))

    def _shown(self, verdict: Verdict) -> tuple[Input, Fault]:
        return self.shrunk.get(id(verdict), verdict.faults[0])

    def _call(self, args: Args) -> str:
        """The call as a student would write it, shortened."""
        inner = ", ".join(show(value, _SHOWN) for value in args)
        return f"{self.task.function_name}({shorten(inner, _SHOWN)})"

    def _line(self, fault: Fault) -> int:
        """Where the exception rose or the wrong value was made; 0 when there is no telling."""
        if fault.outcome is None or fault.kind in ("mutated", "slow", "timeout"):
            return 0
        if fault.kind == "crash":
            return fault.outcome.line
        about = self.task.fields.get(fault.about.partition(",")[0], "")
        return self.origins.get(fault.outcome.line, {}).get(about, fault.outcome.line)


def _share(verdicts: Sequence[Verdict]) -> float:
    """The earned share of a check's points; families that are judged jointly earn only together."""
    lost = {v.family.joint or v.family.name for v in verdicts if v.status == "failed"}
    if not lost:
        return 1.0
    total = sum(v.family.weight for v in verdicts)
    return sum(v.family.weight for v in verdicts if (v.family.joint or v.family.name) not in lost) / total


def _passed_message(verdicts: Sequence[Verdict]) -> str:
    runs = sum(len(verdict.family.inputs) for verdict in verdicts)
    excused = sorted({verdict.excuse for verdict in verdicts if verdict.status == "excused"})
    if excused:
        return f"Passed on {runs} inputs; what fails here as well is already charged by {', '.join(excused)}."
    return f"Passed on {runs} inputs."
