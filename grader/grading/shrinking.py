"""Making failing inputs smaller, as long as the same fault remains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from grader.grading.calls import Calls
from grader.grading.challenge import Fault, Input, Verdict

ROUNDS = 6
WIDTH = 24
"""At most so many smaller inputs are tried for a family in one round; one run tries those of all families."""

Shrunk = Mapping[int, tuple[Input, Fault]]
"""The smallest failing input found, and its fault, by the verdict's `id`."""


def shrink(verdicts: Mapping[str, Sequence[Verdict]], calls: Calls) -> Shrunk:
    """For every failed family, the smallest input found that fails in the same way."""
    current: dict[int, tuple[Verdict, Input, Fault]] = {}
    for group in verdicts.values():
        for verdict in group:
            if verdict.faults and verdict.family.weight and _can_shrink(verdict):
                current[id(verdict)] = (verdict, *verdict.faults[0])
    growing = set(current)
    for _ in range(ROUNDS):
        growing = _round(current, growing, calls)
        if not growing:
            break
    return {key: (each, fault) for key, (_, each, fault) in current.items()}


def _can_shrink(verdict: Verdict) -> bool:
    is_quick = verdict.faults[0][1].kind not in ("timeout", "slow")
    return is_quick and not any(f.outcome is not None and f.outcome.kind == "died" for _, f in verdict.faults)


def _round(current: dict[int, tuple[Verdict, Input, Fault]], keys: set[int], calls: Calls) -> set[int]:
    """Try smaller inputs for these families at once; returns those that got smaller."""
    tries: dict[int, list[Input]] = {}
    for key in keys:
        verdict, each, _ = current[key]
        smaller = zip(verdict.family.shrink(each.args), range(WIDTH), strict=False)
        tries[key] = [Input(args) for args, _ in smaller]
    wanted = [
        (current[key][0].check, call)
        for key, inputs in tries.items()
        for each in inputs
        for call in current[key][0].family.calls(each.args)
    ]
    if wanted:
        calls.run(wanted)
    return {key for key, inputs in tries.items() if _take_smallest(current, key, inputs, calls)}


def _take_smallest(
    current: dict[int, tuple[Verdict, Input, Fault]], key: int, inputs: Sequence[Input], calls: Calls
) -> bool:
    """Go on with the first of the inputs that fails as before; False when none does."""
    verdict, _, old = current[key]
    for each in inputs:
        outcomes = calls.outcomes_of(verdict.check, verdict.family.calls(each.args))
        fault = verdict.family.judge(each.args, outcomes)
        if fault and fault.kind == old.kind and fault.about == old.about:
            current[key] = (verdict, each, fault)
            return True
    return False
