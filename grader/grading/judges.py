"""Judging what most challenges judge: a right answer, a crash, changed input, growing work."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import isclose, isfinite
from typing import Any

from grader.grading.challenge import (
    Args,
    Cap,
    Family,
    Fault,
    FunctionCall,
    Input,
    Judge,
    Outcome,
    Settle,
    Verdict,
    no_shrink,
)
from grader.grading.display import show

GROWTH = 6.0
"""Steps may grow by less than this when the input grows fourfold: room for n log n, none for n squared."""


def is_number(value: Any) -> bool:
    """A finite int or float; True and False are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return value.bit_length() < 1000 if isinstance(value, int) else isfinite(value)


def equal(left: Any, right: Any) -> bool:
    """Equal plain values; numbers numerically (1e-9), tuples like lists."""
    if is_number(left) and is_number(right):
        return isclose(left, right, rel_tol=1e-9, abs_tol=1e-9)
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(equal(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(equal, left, right))
    return type(left) is type(right) and bool(left == right)


def crash(outcome: Outcome, expected: str) -> Fault | None:
    """The fault of a call that did not return, else None."""
    if outcome.ok:
        return None
    if outcome.kind in ("timeout", "not_run", "overrun"):
        got = (
            "it did not finish in time"
            if outcome.kind != "not_run"
            else "not run: the time was used up before"
        )
        return Fault("timeout", got, expected, outcome, outcome.kind)
    return Fault("crash", describe_crash(outcome), expected, outcome, outcome.error)


def describe_crash(outcome: Outcome) -> str:
    """`ZeroDivisionError in line 12`, with the key where a KeyError names one."""
    if outcome.kind == "died":
        return f"the process ended: {outcome.error}"
    detail = f" for {outcome.detail}" if outcome.detail else ""
    place = f" in line {outcome.line}" if outcome.line else ""
    return f"{outcome.error}{detail}{place}"


def judge_equal(reference: Callable[..., Any]) -> Judge:
    """A judge that wants exactly what the reference returns."""

    def judge(args: Args, outcomes: Sequence[Outcome]) -> Fault | None:
        right = reference(*copy.deepcopy(args))
        fault = crash(outcomes[0], show(right))
        if fault or equal(outcomes[0].value, right):
            return fault
        return Fault("wrong", show(outcomes[0].value), show(right), outcomes[0], "value")

    return judge


def judge_unchanged(args: Args, outcomes: Sequence[Outcome]) -> Fault | None:
    """The input is as it was; a crash changes nothing."""
    for outcome in outcomes:
        if outcome.mutated:
            return Fault("mutated", "the input was changed", "the caller's data as it was", outcome)
    return None


def judge_steps(outcomes: Sequence[Outcome], small: int, large: int, what: str) -> Fault | None:
    """Counted work at `small` and `large` (four times as many) things grows less than sixfold, without a
    crash."""
    first, second = outcomes
    wanted = f"less than {GROWTH:g} times the steps for 4 times the {what}"
    if second.kind == "overrun":
        got = f"{first.steps} steps for {small} {what}, more than {second.steps} for {large}"
        return Fault("slow", got, wanted, second, "growth")
    if first.kind == "overrun":
        return Fault("slow", f"more than {first.steps} steps for {small} {what}", wanted, first, "growth")
    return crash(first, wanted) or crash(second, wanted)


def growth_calls(small: Args) -> Callable[[Args], tuple[FunctionCall, ...]]:
    """Two counted calls: the small arguments, then the case's own within six times the steps."""
    return lambda args: (FunctionCall(small, counted=True), FunctionCall(args, counted=True, growth=GROWTH))


def fixed_and_drawn(
    judge: Judge,
    fixed: Mapping[str, Args],
    drawn: Sequence[Args],
    shrink: Callable[[Args], Iterator[Args]] = no_shrink,
) -> tuple[Family, ...]:
    """A public family per named input (a third of the points together) and one of drawn inputs (two
    thirds)."""
    families = [
        Family(name, (Input(args, public=True, note=name),), judge, 1 / len(fixed), shrink=shrink)
        for name, args in fixed.items()
    ]
    if drawn:
        inputs = tuple(Input(args, drawn=True) for args in drawn)
        families.append(Family("drawn inputs", inputs, judge, 2.0, shrink=shrink))
    return tuple(families)


def growth_family(
    small: Args, large: Args, sizes: tuple[int, int], what: str, judge: Judge, name: str = ""
) -> Family:
    """Two counted calls: work grows less than sixfold from `small` to `large` (four times the size), and the
    answer to the large input is right by `judge`."""

    def judge_both(args: Args, outcomes: Sequence[Outcome]) -> Fault | None:
        return judge_steps(outcomes, *sizes, what) or judge(args, outcomes[1:])

    title = name or f"{sizes[0]:,} and {sizes[1]:,} {what}"
    return Family(title, (Input(large, drawn=True),), judge_both, calls=growth_calls(small))


def mutation_family(inputs: Sequence[Args], name: str = "the caller's data") -> Family:
    """The input is left as it was, here and in every other call of the grade."""
    return Family(
        name, tuple(Input(args, drawn=True) for args in inputs), judge_unchanged, judges_mutation=True
    )


IDLE = "Pays little: none of the other checks passes, so doing nothing wrong here says little."


def cap_idle(checks: Sequence[str]) -> Settle:
    """A `settle` under which the named checks pay at most a third unless some other check passes."""

    def settle(verdicts: Mapping[str, list[Verdict]]) -> Mapping[str, Cap]:
        others = [group for name, group in verdicts.items() if name not in checks]
        works = any(all(verdict.status != "failed" for verdict in group) for group in others)
        return {} if works else dict.fromkeys(checks, Cap(1 / 3, IDLE))

    return settle
