"""Who is right where the brief leaves it open: a function held against itself, with and without bad users.

Metamorphic testing (Chen et al. 1998): not what comes out is judged, but how it changes with the input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from grader.challenges.user_metrics.reference import FIELDS, KEYS
from grader.challenges.user_metrics.results import (
    AVERAGE,
    COUNT,
    PERFORMERS,
    SCORE,
    MetricsResult,
    is_close,
    not_empty,
    read,
    why_formless,
)
from grader.grading.challenge import Args, Fault, Outcome
from grader.grading.display import show
from grader.grading.judges import crash, equal, judge_unchanged
from grader.words import count

SMALL_LIST = 50
"""Lists with bad users are far shorter; comparing takes the square of the length."""


def judge_start_after_end(args: Args, outcomes: Sequence[Outcome]) -> Fault | None:
    """Nobody is active; a function that cannot say so for an ordinary empty range is charged elsewhere."""
    turned, ordinary = outcomes
    wanted = f"nobody is active when start lies after end: {PERFORMERS} [], {COUNT} 0"
    if not turned.ok and turned.kind == ordinary.kind and turned.error == ordinary.error:
        return None
    fault = crash(turned, wanted)
    if fault:
        return fault
    wrong = not_empty(read(turned.value))
    same = not_empty(read(ordinary.value)) if ordinary.ok else {}
    left = {name: text for name, text in wrong.items() if name not in same and name != AVERAGE}
    if AVERAGE in wrong and AVERAGE not in same and AVERAGE in read(turned.value).problems:
        left[AVERAGE] = wrong[AVERAGE]
    return (
        Fault("wrong", "; ".join(dict.fromkeys(left.values())), wanted, turned, ",".join(left))
        if left
        else None
    )


def judge_beside(
    outcomes: Sequence[Outcome], bad: int, *, strict: bool = False, agree: bool = False
) -> Fault | None:
    """Bad users harm nobody: outcomes[0] has them, outcomes[1] is the same without them.

    bad: how many bad users there are. strict: none of them may count as active. agree: the count must agree
    with the performers, if it does so without the bad users.
    """
    beside, alone = outcomes[0], outcomes[1]
    wanted = "no crash, finite numbers, and every healthy user as without the bad one"
    if strict:
        wanted += ", who is not active"
    fault = crash(beside, wanted)
    if fault:
        is_same = (beside.kind, beside.error, beside.line) == (alone.kind, alone.error, alone.line)
        return replace(fault, about="alone") if is_same else fault
    if not alone.ok:
        return crash(alone, "a result for the healthy users alone")
    with_bad, without = read(beside.value), read(alone.value)
    if not with_bad.has_form:
        return Fault("shape", why_formless(with_bad), wanted, beside, "form")
    for name, text in with_bad.problems.items():
        if name not in without.problems:
            return Fault("shape", text, wanted, beside, name)
    return _compare(with_bad, without, bad, strict, agree, wanted, beside)


def _compare(
    with_bad: MetricsResult,
    without: MetricsResult,
    bad: int,
    strict: bool,
    agree: bool,
    wanted: str,
    outcome: Outcome,
) -> Fault | None:
    longest = max(len(with_bad.performers), len(without.performers))
    if longest > SMALL_LIST:
        return Fault("wrong", count(longest, "performer"), wanted, outcome, "count")
    extra = list(with_bad.performers)
    for entry in without.performers:
        place = next((i for i, other in enumerate(extra) if _same_user(entry, other)), None)
        if place is None:
            found = show(with_bad.performers, 150)
            got = f"the healthy user {show(entry, 130)} is missing or changed in {found}"
            return Fault("wrong", got, wanted, outcome, "healthy")
        del extra[place]
    more = with_bad.count - without.count
    known = COUNT not in without.problems
    allowed = 0 if strict else bad
    if len(extra) > allowed or (known and not 0 <= more <= allowed):
        got = f"{COUNT} {with_bad.count} and {count(len(with_bad.performers), 'performer')}; "
        got += f"without the bad one {without.count} and {len(without.performers)}"
        return Fault("wrong", got, wanted, outcome, "count")
    if agree and known and without.count == len(without.performers) and more != len(extra):
        got = f"{COUNT} {with_bad.count}, but {count(len(with_bad.performers), 'performer')}"
        return Fault("wrong", got, f"{wanted}; the count agrees with the performers", outcome, "agreement")
    return None


def _same_user(entry: dict[str, Any], other: dict[str, Any]) -> bool:
    """Own fields and score as they were; keys of the submission's own, such as a rank, may differ."""
    return all(key in other and _same(entry[key], other[key]) for key in (*KEYS, SCORE) if key in entry)


def _same(one: Any, other: Any) -> bool:
    """Equal; lists and dicts exactly, in C: the submission says how long they are."""
    return bool(one == other) if isinstance(one, list | dict) else equal(one, other)


def judge_only_bad(args: Args, outcomes: Sequence[Outcome]) -> Fault | None:
    """Nobody but bad users: no crash, and no form that the same users without the flaw (outcomes[1]) do
    not get."""
    bad, healthy = outcomes
    wanted = "no crash and finite numbers"
    fault = crash(bad, wanted)
    if fault:
        return fault
    found, ordinary = read(bad.value), read(healthy.value)
    if not found.has_form:
        return Fault("shape", why_formless(found), wanted, bad, "form")
    for name, text in found.problems.items():
        if name not in ordinary.problems:
            return Fault("shape", text, wanted, bad, name)
    return None


def judge_filled(args: Args, outcomes: Sequence[Outcome], bad: int) -> Fault | None:
    """`judge_beside`, and an incomplete user who is kept scores as with 0 for what is missing
    (outcomes[2])."""
    fault = judge_beside(outcomes[:2], bad, agree=True)
    if fault or not outcomes[2].ok:
        return fault
    beside, filled = read(outcomes[0].value), read(outcomes[2].value)
    if beside.problems or filled.problems:
        return None
    scores = [each[SCORE] for each in filled.performers]
    for entry in beside.performers:
        if not any(is_close(entry[SCORE], score) for score in scores):
            wanted = "the incomplete user left out, or counted with 0 for what is missing: scores "
            wanted += show(scores, 100)
            return Fault("wrong", f"{SCORE} {show(entry[SCORE])}", wanted, outcomes[0], "filled")
    return None


def judge_kept(args: Args, outcomes: Sequence[Outcome]) -> Fault | None:
    """The input is as it was, and what came back is a result: who does nothing changes nothing."""
    fault = judge_unchanged(args, outcomes)
    answer = read(outcomes[0].value) if outcomes[0].ok else None
    if fault or answer is None or answer.has_form:
        return fault
    wanted = f"a result with {', '.join(FIELDS)}, and the caller's data as it was"
    return Fault("shape", why_formless(answer), wanted, outcomes[0], "form")
