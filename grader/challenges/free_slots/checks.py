"""Calendars of each kind, and the reference that finds their gaps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from grader.grading.challenge import (
    Args,
    Challenge,
    Check,
    Family,
    Fault,
    Input,
    Outcome,
    Plan,
    cached_plan,
    remove_items,
)
from grader.grading.judges import (
    cap_idle,
    fixed_and_drawn,
    growth_calls,
    judge_equal,
    judge_steps,
    judge_unchanged,
)
from grader.grading.random_source import Draws
from grader.words import count

SMALL, LARGE = 500, 2000
Booking = list[int]

CHECKS = (
    Check("finds_gaps", "logic", 20, "Gaps before, between and after bookings.", "Walk the sorted bookings."),
    Check("overlaps", "logic", 20, "Overlapping and nested bookings.", "Keep the latest end seen so far."),
    Check("unsorted_input", "logic", 10, "Bookings in any order.", "Sort a copy first."),
    Check("outside_the_day", "edge_cases", 15, "Bookings partly or wholly outside.", "Clip them to the day."),
    Check(
        "empty_days",
        "edge_cases",
        10,
        "No bookings, full days, days without length.",
        "Test day_start < day_end.",
    ),
    Check("minimum_length", "edge_cases", 10, "Slots of exactly `minutes` count.", "Compare with >=."),
    Check(
        "doesnt_mutate_input", "edge_cases", 5, "The caller's list stays as it was.", "Use sorted(bookings)."
    ),
    Check("efficient_implementation", "performance", 10, "Near-linear work.", "Sort once, walk once."),
)


def free_slots(bookings: Sequence[Booking], day_start: int, day_end: int, minutes: int) -> list[Booking]:
    """The reference."""
    slots = []
    position = day_start
    for start, end in sorted(bookings):
        if min(start, day_end) - position >= minutes:
            slots.append([position, min(start, day_end)])
        position = max(position, end)
    if day_end - position >= minutes:
        slots.append([position, day_end])
    return slots


def _fewer(args: Args) -> Iterator[Args]:
    for bookings in remove_items(args[0]):
        yield (bookings, *args[1:])


def _apart(draws: Draws, count: int) -> list[Booking]:
    """Bookings in order that neither overlap nor touch, inside 480 to 1200."""
    marks = sorted(draws.sample(range(96), 2 * count))
    return [[485 + 7 * marks[2 * i], 485 + 7 * marks[2 * i + 1]] for i in range(count)]


def _calendar(draws: Draws) -> Args:
    return (_apart(draws, draws.integer(1, 7)), 480, 1200, 1)


def _overlapping(draws: Draws) -> Args:
    bookings = []
    for _ in range(draws.integer(3, 8)):
        start = draws.integer(490, 1100)
        bookings.append([start, start + draws.integer(5, 180)])
    return (sorted(bookings), 480, 1300, 1)


def _unsorted(draws: Draws) -> Args:
    bookings = _apart(draws, draws.integer(3, 8))
    bookings.reverse()
    last = bookings.pop()
    draws.shuffle(bookings)
    return ([*bookings, last], 480, 1200, 1)


def _outside(draws: Draws) -> Args:
    bookings = [*_apart(draws, draws.integer(0, 3))]
    kinds = ([300, 400], [400, 481 + draws.integer(0, 2)], [1190, 1300], [1200, 1260], [1300, 1400])
    bookings = sorted([*bookings, *draws.sample(kinds, draws.integer(1, 3))])
    return (bookings, 480, 1200, 1)


def _short(draws: Draws) -> Args:
    bookings = _apart(draws, draws.integer(2, 6))
    gaps = [b[0] - a[1] for a, b in pairwise(bookings)]
    return (bookings, 480, 1200, draws.choice(gaps))


def _many(draws: Draws, count: int) -> Args:
    bookings = [[20 * i, 20 * i + draws.integer(1, 19)] for i in range(count)]
    draws.shuffle(bookings)
    return (bookings, 0, 20 * count, 1)


def judge_work(args: Args, outcomes: Sequence[Outcome]) -> Fault | None:
    """Near-linear, and a slot after nearly every booking is found (how exactly is judged elsewhere)."""
    fault = judge_steps(outcomes, SMALL, LARGE, "bookings")
    if fault:
        return fault
    found = outcomes[1].value
    if isinstance(found, list) and len(found) >= LARGE // 2:
        return None
    got = count(len(found), "slot") if isinstance(found, list) else "no list"
    return Fault("wrong", got, f"the free slots between {LARGE} bookings", outcomes[1], "slots")


@cached_plan
def plan(seed: int) -> Plan:
    """Fixed and drawn calendars for every check."""
    judge = judge_equal(free_slots)
    draws = Draws(seed, "free slots")

    def drawn(one: object, count: int = 30) -> list[Args]:
        return [one(draws) for _ in range(count)] if callable(one) else []

    small, large = _many(draws, SMALL), _many(draws, LARGE)
    mutation = [_unsorted(draws) for _ in range(8)]
    return {
        "finds_gaps": fixed_and_drawn(
            judge,
            {
                "two meetings": ([[540, 600], [720, 780]], 480, 1020, 1),
                "one meeting": ([[480, 540]], 480, 1020, 1),
            },
            drawn(_calendar),
            _fewer,
        ),
        "overlaps": fixed_and_drawn(
            judge,
            {
                "overlapping": ([[540, 660], [600, 720]], 480, 1020, 1),
                "nested": ([[540, 900], [600, 660]], 480, 1020, 1),
                "touching": ([[540, 600], [600, 660]], 480, 1020, 1),
            },
            drawn(_overlapping, 40),
            _fewer,
        ),
        "unsorted_input": fixed_and_drawn(
            judge, {"afternoon first": ([[900, 960], [540, 600]], 480, 1020, 1)}, drawn(_unsorted), _fewer
        ),
        "outside_the_day": fixed_and_drawn(
            judge,
            {
                "before and after": ([[300, 360], [1100, 1200]], 480, 1020, 1),
                "across both ends": ([[420, 500], [1000, 1100]], 480, 1020, 1),
            },
            drawn(_outside, 40),
            _fewer,
        ),
        "empty_days": fixed_and_drawn(
            judge,
            {
                "no bookings": ([], 480, 1020, 1),
                "a full day": ([[480, 1020]], 480, 1020, 1),
                "a day that ends as it starts": ([], 480, 480, 1),
                "a day that ends before it starts": ([[500, 510]], 600, 480, 1),
            },
            [([], start, start + draws.integer(30, 500), 1) for start in range(400, 410)],
        ),
        "minimum_length": fixed_and_drawn(
            judge, {"exactly an hour": ([[540, 600], [660, 720]], 540, 730, 60)}, drawn(_short), _fewer
        ),
        "doesnt_mutate_input": (
            Family(
                "the caller's list",
                tuple(Input(args, drawn=True) for args in mutation),
                judge_unchanged,
                judges_mutation=True,
            ),
        ),
        "efficient_implementation": (
            Family(
                "500 and 2,000 bookings", (Input(large, drawn=True),), judge_work, calls=growth_calls(small)
            ),
        ),
    }


CHALLENGE = Challenge(
    name="free_slots",
    title="Find free slots",
    function_name="free_slots",
    signature="free_slots(bookings, day_start, day_end, minutes)",
    checks=CHECKS,
    plan=plan,
    folder=Path(__file__).parent,
    reference=free_slots,
    settle=cap_idle(("doesnt_mutate_input", "empty_days")),
)
