"""From a source text to a report: run the cases, judge the outcomes, settle the points, shrink what
failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from grader.grading.challenge import (
    DEFAULT_SEED,
    Args,
    Call,
    Cap,
    Challenge,
    Check,
    Family,
    Fault,
    Input,
    Outcome,
    Verdict,
)
from grader.grading.display import shorten, show
from grader.grading.registry import DEFAULT_CHALLENGE
from grader.grading.registry import challenge as find_challenge
from grader.grading.report import CaseResult, CheckResult, Report
from grader.sandbox.judge.sandbox import Sandbox, SandboxRun, default_sandbox

_SHRINK_ROUNDS = 6
_SHRINK_WIDTH = 24
_SHOWN = 260


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
    size = len(source.encode("utf-8", "replace"))
    if size > box.limits.source_bytes:
        reason = f"the source has {size:,} bytes; at most {box.limits.source_bytes:,} are graded"
        return refused(task, used_seed, reason, ())
    if not source.strip():
        return refused(task, used_seed, "the submission is empty", ())
    if task.test:
        return _grade_by_test(task, used_seed, source, box)
    work = _Work(task, used_seed, source, box)
    run = work.run_all()
    notes = tuple(f"line {line}: {reason}" for line, reason in run.notes)
    refusal = why_not_run(run, task, source)
    if refusal:
        return refused(task, used_seed, refusal, run.isolation, notes)
    return work.report(run, notes)


def _grade_by_test(task: Challenge, seed: int, source: str, box: Sandbox) -> Report:
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


@dataclass
class _Work:
    """One grade in progress."""

    task: Challenge
    seed: int
    source: str
    box: Sandbox
    outcomes: dict[tuple[str, bytes, bool], Outcome] = field(default_factory=dict)
    left_s: float = 0.0

    def run_all(self) -> SandboxRun:
        """Make every distinct call of the plan once."""
        self.left_s = self.box.limits.wall_s
        return self.run(
            [
                (group, call)
                for group, families in self.task.plan(self.seed).items()
                for family in families
                for calls in family.planned
                for call in calls
            ]
        )

    def run(self, calls: Sequence[tuple[str, Call]]) -> SandboxRun:
        """SandboxRun the calls that were not made yet and remember their outcomes."""
        wanted = {}
        for group, call in calls:
            key = (group, call.text, call.counted)
            if key not in self.outcomes:
                wanted[key] = (group, call)
        run = self.box.run(self.source, self.task.function_name, list(wanted.values()), wall_s=self.left_s)
        self.left_s = max(0.01, self.left_s - run.wall_s)
        self.outcomes.update(zip(wanted, run.outcomes, strict=True))
        return run

    def outcomes_of(self, group: str, calls: Sequence[Call]) -> list[Outcome]:
        return [self.outcomes[(group, call.text, call.counted)] for call in calls]

    def judge(self, group: str, family: Family) -> Verdict:
        verdict = Verdict(group, family)
        for each, calls in zip(family.inputs, family.planned, strict=True):
            outcomes = self.outcomes_of(group, calls)
            verdict.seen.append((each.args, outcomes))
            fault = family.judge(each.args, outcomes)
            if fault:
                verdict.faults.append((each, fault))
        return verdict

    def report(self, run: SandboxRun, notes: tuple[str, ...]) -> Report:
        plan = self.task.plan(self.seed)
        verdicts = {
            group: [self.judge(group, family) for family in families] for group, families in plan.items()
        }
        self.add_mutations(verdicts)
        caps = self.task.settle(verdicts)
        shrunk = self.shrink(verdicts, run)
        checks = tuple(
            self.settle_check(check, verdicts[check.name], caps.get(check.name), shrunk)
            for check in self.task.checks
        )
        if run.problem:
            where = f" in line {run.problem['line']}" if run.problem.get("line") else ""
            raised = f"the code outside the function raised {run.problem['type']}{where}"
            notes = (*notes, f"{raised}; the function was graded all the same")
        return Report(self.task.name, self.seed, checks, None, notes, run.isolation)

    def add_mutations(self, verdicts: Mapping[str, list[Verdict]]) -> None:
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

    def settle_check(
        self,
        check: Check,
        verdicts: Sequence[Verdict],
        cap: Cap | None,
        shrunk: Mapping[int, tuple[Input, Fault]],
    ) -> CheckResult:
        """Points by weight over the families; one that is excused counts as passed."""
        failed = next((verdict for verdict in verdicts if verdict.status == "failed"), None)
        score = round(check.points * min(_share(verdicts), cap.share if cap else 1.0), 2)
        if failed is not None:
            each, fault = shrunk.get(id(failed), failed.faults[0])
            message = (
                f"{failed.family.name}: {self.show_input(each.args)}: {fault.got}. "
                f"Expected: {fault.expected}. {check.hint}"
            )
        elif cap is not None:
            message = cap.reason
        else:
            message = _passed_message(verdicts)
        return CheckResult(
            check.name,
            check.category,
            score,
            float(check.points),
            message.strip(),
            self.cases(verdicts, shrunk),
        )

    def cases(
        self, verdicts: Sequence[Verdict], shrunk: Mapping[int, tuple[Input, Fault]]
    ) -> tuple[CaseResult, ...]:
        results = []
        for verdict in verdicts:
            name, runs = verdict.family.name, len(verdict.family.inputs)
            if verdict.faults:
                each, fault = shrunk.get(id(verdict), verdict.faults[0])
                shown = self.show_input(each.args)
                results.append(
                    CaseResult(name, verdict.status, runs, shown, shorten(fault.got), shorten(fault.expected))
                )
            else:
                results.append(CaseResult(name, verdict.status, runs))
        return tuple(results)

    def show_input(self, args: Args) -> str:
        """The call as a student would write it, shortened."""
        inner = ", ".join(show(value, _SHOWN) for value in args)
        return f"{self.task.function_name}({shorten(inner, _SHOWN)})"

    # shrinking

    def shrink(
        self, verdicts: Mapping[str, list[Verdict]], run: SandboxRun
    ) -> dict[int, tuple[Input, Fault]]:
        """For the first failed family of each check, the smallest input found that fails in the same way."""
        if run.stopped == "limit" or any(each.kind == "timeout" for each in run.outcomes):
            return {}
        current: dict[int, tuple[Verdict, Input, Fault]] = {}
        for check in self.task.checks:
            failed = next((v for v in verdicts[check.name] if v.status == "failed"), None)
            if failed and failed.faults[0][1].kind not in ("timeout", "slow") and not _has_died(failed):
                current[id(failed)] = (failed, *failed.faults[0])
        for _ in range(_SHRINK_ROUNDS):
            if not self.shrink_round(current):
                break
        return {key: (each, fault) for key, (_, each, fault) in current.items()}

    def shrink_round(self, current: dict[int, tuple[Verdict, Input, Fault]]) -> bool:
        """Try smaller inputs for every family at once; True when one got smaller."""
        tries = {
            key: [
                Input(args)
                for args, _ in zip(verdict.family.shrink(each.args), range(_SHRINK_WIDTH), strict=False)
            ]
            for key, (verdict, each, _) in current.items()
        }
        calls = [
            (current[key][0].check, call)
            for key, inputs in tries.items()
            for each in inputs
            for call in current[key][0].family.calls(each.args)
        ]
        if not calls:
            return False
        self.run(calls)
        moved = False
        for key, inputs in tries.items():
            verdict, _, old = current[key]
            for each in inputs:
                outcomes = self.outcomes_of(verdict.check, verdict.family.calls(each.args))
                fault = verdict.family.judge(each.args, outcomes)
                if fault and fault.kind == old.kind and fault.about == old.about:
                    current[key] = (verdict, each, fault)
                    moved = True
                    break
        return moved


def _share(verdicts: Sequence[Verdict]) -> float:
    """The earned share of a check's points; families that are judged jointly earn only together."""
    lost = {v.family.joint or v.family.name for v in verdicts if v.status == "failed"}
    if not lost:
        return 1.0
    total = sum(v.family.weight for v in verdicts)
    return sum(v.family.weight for v in verdicts if (v.family.joint or v.family.name) not in lost) / total


def _has_died(verdict: Verdict) -> bool:
    return any(fault.outcome is not None and fault.outcome.kind == "died" for _, fault in verdict.faults)


def _passed_message(verdicts: Sequence[Verdict]) -> str:
    runs = sum(len(verdict.family.inputs) for verdict in verdicts)
    excused = sorted({verdict.excuse for verdict in verdicts if verdict.status == "excused"})
    if excused:
        return f"Passed on {runs} inputs; what fails here as well is already charged by {', '.join(excused)}."
    return f"Passed on {runs} inputs."
