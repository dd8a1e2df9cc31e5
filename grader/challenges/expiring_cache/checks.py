"""Replays of each kind, and the reference that keeps the entries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from grader.grading.challenge import (
    Args,
    Challenge,
    Check,
    Family,
    Fault,
    FunctionCall,
    Input,
    Outcome,
    Plan,
    cached_plan,
    remove_items,
)
from grader.grading.judges import (
    cap_idle,
    fixed_and_drawn,
    growth_family,
    judge_equal,
    mutation_family,
)
from grader.grading.random_source import Draws

SMALL, LARGE = 500, 2000
LONG = 10_000
"""A lifetime that outlasts a replay."""

CHECKS = (
    Check("stores_and_finds", "logic", 15, "What was put is found.", "Keep values by key."),
    Check("drops_the_longest_unused", "logic", 20, "A full cache drops one entry.", "Drop before you add."),
    Check("get_is_a_use", "state", 15, "A get keeps its entry longer.", "Move found entries to the end."),
    Check("put_is_a_use", "state", 10, "A put of a known key.", "Replace it; nobody has to go."),
    Check("entries_expire", "state", 10, "Gone from now + ttl on.", "Compare with >=, and count the living."),
    Check("expired_go_first", "state", 5, "Expired entries make room.", "Look for them before the oldest."),
    Check("replays_are_apart", "state", 10, "Nothing is left of the last replay.", "No state in the class."),
    Check("small_capacities", "edge_cases", 5, "Capacities 0 and 1.", "With 0 nothing is kept."),
    Check("doesnt_mutate_input", "edge_cases", 5, "The commands stay as they were.", "Only read them."),
    Check("efficient_implementation", "performance", 5, "Near-linear work.", "Find entries by key."),
)


def replay(capacity: int, commands: Sequence[Sequence[Any]]) -> list[Any]:
    """The reference."""
    entries: dict[str, tuple[Any, int]] = {}  # the longest unused first
    answers: list[Any] = []
    for name, *rest in commands:
        answer: Any = None
        if name == "put":
            key, value, now, ttl = rest
            if key not in entries and len(entries) >= capacity:
                entries = {each: entry for each, entry in entries.items() if now < entry[1]}
                if len(entries) >= capacity and entries:
                    del entries[next(iter(entries))]
            entries.pop(key, None)
            if capacity > 0:
                entries[key] = (value, now + ttl)
        elif name == "get":
            key, now = rest
            if key in entries and now < entries[key][1]:
                answer = entries[key][0]
                entries[key] = entries.pop(key)
        else:
            answer = sum(rest[0] < end for _, end in entries.values())
        answers.append(answer)
    return answers


def _fewer(args: Args) -> Iterator[Args]:
    return ((args[0], commands) for commands in remove_items(args[1]))


def _keys(draws: Draws, count: int) -> list[str]:
    names = ["ada", "ben", "cem", "dora", "eli", "fay", "gus", "hal", "ida", "jo", "kim", "lea"]
    return draws.sample(names, count)


def _puts(keys: Sequence[str], draws: Draws, ttl: int = LONG) -> list[list[Any]]:
    return [["put", key, draws.integer(1, 99), 0, ttl] for key in keys]


def _gets(keys: Sequence[str], now: int) -> list[list[Any]]:
    return [["get", key, now] for key in keys]


def _stored(draws: Draws) -> Args:
    """Room for everybody."""
    keys = _keys(draws, draws.integer(2, 6))
    return (9, [*_puts(keys[1:], draws), *_gets(keys, 1), ["size", 1]])


def _full(draws: Draws) -> Args:
    """New keys only, and gets at the end only: first in, first out."""
    count = draws.integer(3, 8)
    keys = _keys(draws, count)
    return (draws.integer(2, count - 1), [*_puts(keys, draws), *_gets(keys, 1), ["size", 1]])


def _gets_between(draws: Draws) -> Args:
    """The oldest entries are read before new ones come."""
    capacity = draws.integer(3, 5)
    keys = _keys(draws, capacity + 2)
    used = [*draws.sample(keys[: capacity - 1], draws.integer(1, capacity - 2)), keys[0]]
    commands = [*_puts(keys[:capacity], draws), *_gets(used, 1), *_gets(["nobody"], 1)]
    return (capacity, [*commands, *_puts(keys[capacity:], draws), *_gets(keys, 2)])


def _puts_again(draws: Draws) -> Args:
    """A full cache gets new values for keys it has, then one new key."""
    capacity = draws.integer(2, 5)
    keys = _keys(draws, capacity + 1)
    again = [keys[0], *draws.sample(keys[:capacity], draws.integer(0, capacity - 1))]
    commands = [*_puts(keys[:capacity], draws), *_puts(again, draws), ["size", 1]]
    return (capacity, [*commands, *_puts(keys[capacity:], draws), *_gets(keys, 2)])


def _expiring(draws: Draws) -> Args:
    """Room for everybody; every entry is asked for just before and just at its end."""
    keys = _keys(draws, draws.integer(2, 5))
    commands: list[list[Any]] = [
        ["put", key, draws.integer(1, 99), 0, 10 * place + 10] for place, key in enumerate(keys)
    ]
    for place in range(len(keys)):
        for now in (10 * place + 9, 10 * place + 10):
            commands += [["size", now], *_gets(keys, now)]
    return (9, commands)


def _room_by_expiry(draws: Draws) -> Args:
    """The entry used last is the one that expires."""
    capacity = draws.integer(2, 5)
    keys = _keys(draws, capacity + 1)
    ttls = [LONG] * (capacity - 1) + [5]
    commands: list[list[Any]] = [["put", key, 1, 0, ttl] for key, ttl in zip(keys, ttls, strict=False)]
    return (capacity, [*commands, ["put", keys[-1], 2, 8, LONG], *_gets(keys, 9), ["size", 9]])


def _smallest(draws: Draws) -> Args:
    keys = _keys(draws, draws.integer(1, 4))
    return (draws.integer(0, 1), [*_puts(keys, draws), *_gets(keys, 1), ["size", 1]])


def _apart_calls(args: Args) -> tuple[FunctionCall, ...]:
    """The same replay twice, the second time without its first command."""
    return (FunctionCall(args), FunctionCall((args[0], args[1][1:])))


def judge_apart(args: Args, outcomes: Sequence[Outcome]) -> Fault | None:
    """The second replay does not know what the first one put."""
    judge = judge_equal(replay)
    return judge((args[0], args[1][1:]), outcomes[1:])


def _long(draws: Draws, count: int) -> Args:
    """Many keys, half of them asked for again at once."""
    commands: list[list[Any]] = []
    for number in range(count // 2):
        commands += [
            ["put", f"k{number}", number, number, LONG],
            ["get", f"k{number - draws.integer(0, 1)}", number],
        ]
    return (count, commands)


@cached_plan
def plan(seed: int) -> Plan:
    """Fixed and drawn replays for every check."""
    draws, judge = Draws(seed, "expiring cache"), judge_equal(replay)

    def check(fixed: dict[str, Args], one: Any, count: int = 24) -> Any:
        return fixed_and_drawn(judge, fixed, [one(draws) for _ in range(count)], _fewer)

    a, b, c = (["put", key, value, 0, LONG] for key, value in (("a", 1), ("b", 2), ("c", 3)))
    apart = tuple(Input(_stored(draws), drawn=True) for _ in range(8))
    return {
        "stores_and_finds": check({"one value": (2, [a, ["get", "a", 1], ["get", "b", 1]])}, _stored),
        "drops_the_longest_unused": check(
            {"three values, room for two": (2, [a, b, c, *_gets("abc", 1), ["size", 1]])}, _full
        ),
        "get_is_a_use": check(
            {"a was read": (2, [a, b, ["get", "a", 1], c, *_gets("abc", 2)])}, _gets_between
        ),
        "put_is_a_use": check({"a was put again": (2, [a, b, a, c, *_gets("abc", 2)])}, _puts_again),
        "entries_expire": check(
            {
                "just before and just at the end": (
                    2,
                    [["put", "a", 1, 3, 5], *([["get", "a", 7], ["get", "a", 8]])],
                )
            },
            _expiring,
        ),
        "expired_go_first": check(
            {"b has expired": (2, [a, ["put", "b", 2, 0, 5], ["put", "c", 3, 9, 9], *_gets("abc", 9)])},
            _room_by_expiry,
        ),
        "replays_are_apart": (Family("the same replay again", apart, judge_apart, calls=_apart_calls),),
        "small_capacities": check({"no room": (0, [a, ["get", "a", 1], ["size", 1]])}, _smallest, 12),
        "doesnt_mutate_input": (mutation_family([_gets_between(draws) for _ in range(6)], "the commands"),),
        "efficient_implementation": (
            growth_family(_long(draws, SMALL), _long(draws, LARGE), (SMALL, LARGE), "commands", judge),
        ),
    }


CHALLENGE = Challenge(
    name="expiring_cache",
    title="A cache that forgets",
    function_name="replay",
    signature="replay(capacity, commands)",
    checks=CHECKS,
    plan=plan,
    folder=Path(__file__).parent,
    reference=replay,
    settle=cap_idle(("doesnt_mutate_input", "replays_are_apart", "small_capacities")),
)
