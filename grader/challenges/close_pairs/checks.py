"""Lists of times of each kind, and the reference that counts without looking at each pair."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from grader.grading.challenge import Args, Challenge, Check, Fault, Outcome, Plan, cached_plan, remove_items
from grader.grading.judges import (
    cap_idle,
    crash,
    fixed_and_drawn,
    growth_family,
    is_number,
    judge_equal,
    mutation_family,
)
from grader.grading.random_source import Draws

SMALL, LARGE = 500, 2000
SIZES = (SMALL, LARGE)

CHECKS = (
    Check("counts_pairs", "logic", 15, "Close pairs of different times.", "At most gap, not less than."),
    Check("largest_group", "logic", 10, "The largest group.", "Count every entry within one stretch."),
    Check("equal_times", "logic", 10, "The same time more than once.", "Equal entries are close, too."),
    Check("any_order", "edge_cases", 5, "Times in any order.", "Sort a copy."),
    Check("edges", "edge_cases", 5, "Empty lists, one entry, a gap of 0.", "max() needs a default."),
    Check("doesnt_mutate_input", "edge_cases", 5, "The list stays as it was.", "Use sorted(times)."),
    Check("work_when_scattered", "growth", 20, "Near-linear for scattered times.", "Sort, then one pass."),
    Check("work_when_crowded", "growth", 20, "Near-linear when all are close.", "Count without enumerating."),
    Check("work_when_sorted", "growth", 10, "Near-linear for any order.", "Beware of insertion sorts."),
)


def close_pairs(times: Sequence[float], gap: float) -> dict[str, int]:
    """The reference."""
    ordered = sorted(times)
    pairs = largest = start = 0
    for end, time in enumerate(ordered):
        while time - ordered[start] > gap:
            start += 1
        pairs += end - start
        largest = max(largest, end - start + 1)
    return {"pairs": pairs, "largest_group": largest}


def _judge_field(name: str) -> Any:
    """A judge that wants one field of the result and leaves the other to its own check."""

    def judge(args: Args, outcomes: Sequence[Outcome]) -> Fault | None:
        right = close_pairs(*args)[name]
        wanted = f"{name} {right}"
        fault = crash(outcomes[0], wanted)
        if fault:
            return fault
        value = outcomes[0].value
        got = value.get(name) if isinstance(value, dict) else None
        if is_number(got) and got == right:
            return None
        shown = f"{name} {got!r}" if isinstance(value, dict) else "no dict"
        return Fault("wrong", shown, wanted, outcomes[0], name)

    return judge


def _fewer(args: Args) -> Iterator[Args]:
    return ((times, args[1]) for times in remove_items(args[0]))


def _different(draws: Draws, ordered: bool = True) -> Args:
    """Different times, sorted; some differ by exactly the gap."""
    gap = draws.integer(1, 6)
    times = [draws.integer(-20, 20)]
    for _ in range(draws.integer(3, 10)):
        times.append(times[-1] + draws.choice([gap, gap, gap + 1, 1, draws.integer(1, 9)]))
    if not ordered:
        times.reverse()
        times[:2] = reversed(times[:2])
    return (times, gap)


def _equal(draws: Draws) -> Args:
    times, gap = _different(draws)
    repeated = [time for time in times for _ in range(draws.integer(1, 4))]
    return ([*repeated, repeated[-1]], draws.choice([0, gap]))


def _fractions(draws: Draws) -> Args:
    """Exact binary fractions: sums and differences have no rounding."""
    times, gap = _different(draws)
    return ([time / 8 for time in times], gap / 8)


def _scattered(draws: Draws, count: int) -> Args:
    times = [50 * number + draws.integer(0, 40) for number in range(count)]
    draws.shuffle(times)
    return (times, 60)


def _crowded(draws: Draws, count: int) -> Args:
    """Everybody is close to everybody; half of the times are equal."""
    return ([draws.integer(0, 9) if number % 2 else 5 for number in range(count)], 10)


def _falling(count: int) -> Args:
    return ([10 * number for number in range(count, 0, -1)], 25)


@cached_plan
def plan(seed: int) -> Plan:
    """Fixed and drawn lists for every check."""
    draws, judge = Draws(seed, "close pairs"), judge_equal(close_pairs)

    def drawn(one: Any, count: int = 20) -> list[Args]:
        return [one(draws) for _ in range(count)]

    def growth(one: Any, name: str) -> Any:
        return (growth_family(one(SMALL), one(LARGE), SIZES, "entries", judge, name),)

    ordered = [*drawn(_different), *drawn(_fractions, 6)]
    counted, grouped = _judge_field("pairs"), _judge_field("largest_group")
    shown = {"the brief's example": ([1, 2, 4], 2)}
    edges = {"no entries": ([], 5), "one entry": ([7], 5), "a gap of 0": ([1, 2, 3], 0)}
    return {
        "counts_pairs": fixed_and_drawn(counted, shown, ordered, _fewer),
        "largest_group": fixed_and_drawn(grouped, shown, ordered, _fewer),
        "equal_times": fixed_and_drawn(judge, {"three equal times": ([5, 5, 5], 0)}, drawn(_equal), _fewer),
        "any_order": fixed_and_drawn(
            judge, {"falling": ([9, 4, 3], 2)}, drawn(lambda d: _different(d, ordered=False)), _fewer
        ),
        "edges": fixed_and_drawn(judge, edges, [([draws.integer(-9, 9)] * (n % 2), n) for n in range(6)]),
        "doesnt_mutate_input": (
            mutation_family(drawn(lambda d: _different(d, ordered=False), 8), "the caller's list"),
        ),
        "work_when_scattered": growth(lambda count: _scattered(draws, count), "scattered"),
        "work_when_crowded": growth(lambda count: _crowded(draws, count), "crowded"),
        "work_when_sorted": growth(_falling, "falling"),
    }


CHALLENGE = Challenge(
    name="close_pairs",
    title="Count close pairs",
    function_name="close_pairs",
    signature="close_pairs(times, gap)",
    checks=CHECKS,
    plan=plan,
    folder=Path(__file__).parent,
    reference=close_pairs,
    settle=cap_idle(("doesnt_mutate_input", "edges")),
    fields={"pairs": "pairs", "largest_group": "largest_group"},
)
