"""One input of a student's own: the submission's answer, from the sandbox, and the reference's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from grader.grading.challenge import Challenge, FunctionCall, Outcome
from grader.grading.refusals import why_not_run
from grader.sandbox.judge.sandbox import Sandbox, default_sandbox

MAX_INPUT_CHARS = 50_000


@dataclass(frozen=True)
class Tryout:
    """Two answers to one input. A problem says why there is no answer; it is "" when there is one."""

    got: Any = None
    problem: str = ""
    expected: Any = None
    reference_problem: str = ""

    @property
    def agrees(self) -> bool:
        """Whether both gave the same value; how exact a check is, only the grade says."""
        return not self.problem and not self.reference_problem and self.got == self.expected


def try_input(
    source: str, task: Challenge, named: Mapping[str, Any], sandbox: Sandbox | None = None
) -> Tryout:
    """Call the submission in the sandbox and the reference with `named` arguments.

    Raises ValueError when an argument is missing or unknown, or the input is too large; what the sandbox
    raises passes through.
    """
    if set(named) != set(task.parameters):
        raise ValueError(f"the input needs exactly these names: {', '.join(task.parameters)}")
    text = json.dumps([named[name] for name in task.parameters])
    if len(text) > MAX_INPUT_CHARS:
        raise ValueError(f"the input has {len(text):,} characters; at most {MAX_INPUT_CHARS:,} are tried")
    run = (sandbox or default_sandbox()).run(
        source, task.function_name, [("tryout", FunctionCall(tuple(json.loads(text))))]
    )
    problem = why_not_run(run, task, source)
    outcome = run.outcomes[0] if run.outcomes and not problem else None
    if outcome is not None and not outcome.ok:
        problem = _in_words(outcome)
    expected, refusal = None, ""
    if task.reference is None:
        refusal = "this challenge has no reference to compare with"
    else:
        try:
            expected = task.reference(*json.loads(text))
        except Exception as exc:  # the student's input, not ours: it may be of any shape
            refusal = f"the reference does not take this input ({type(exc).__name__}: {exc})"
    value = outcome.value if outcome is not None and outcome.ok else None
    return Tryout(value, problem, expected, refusal)


def _in_words(outcome: Outcome) -> str:
    """How a call ended that returned nothing."""
    place = f" in line {outcome.line}" if outcome.line else ""
    detail = f": {outcome.detail}" if outcome.detail else ""
    return {
        "raised": f"it raised {outcome.error}{place}{detail}",
        "died": f"its process ended ({outcome.error})",
        "timeout": "it did not finish in time",
        "overrun": "it took more steps than are allowed",
    }.get(outcome.kind, "it was not run")
