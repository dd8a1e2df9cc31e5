"""Drawn inputs of `user_metrics` leave no region out, whatever the seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from grader import challenge
from grader.challenges.user_metrics.bad_users import robust_families
from grader.challenges.user_metrics.judging import metrics_args
from grader.grading.challenge import Args

SEEDS = (2024, *range(1, 13))


def drawn(seed: int, name: str) -> list[Args]:
    return [
        each.args
        for family in challenge("user_metrics").plan(seed)[name]
        for each in family.inputs
        if each.drawn
    ]


def active_and_not(args: Args) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    users, start, end = args
    inside = [user for user in users if start <= user["last_login"] <= end]
    return inside, [user for user in users if user not in inside]


def features_of_mean(args: Args) -> Iterator[str]:
    """What one list of the mean's check covers."""
    _, start, end = args
    active, inactive = active_and_not(args)
    for name, group in (("active", active), ("inactive", inactive)):
        for user in group:
            login = user["last_login"]
            yield f"{name} in month {login[5:7]}"
            yield f"{name} on {login[5:]}" if login[5:] in ("01-01", "12-31", "02-29") else ""
    logins = {user["last_login"] for user in active}
    yield "active on the first day" if start in logins else "NOT on the first day"
    yield "active on the last day" if end in logins else "NOT on the last day"
    yield "a range of one day" if start == end else "a longer range"
    yield "a range across New Year" if start[:4] != end[:4] else "a range in one year"
    yield "one active user" if len(active) == 1 else ""
    yield "a thousand active users" if len(active) >= 1000 else ""
    yield from features_of_users(args)


def features_of_users(args: Args) -> Iterator[str]:
    ranked = metrics_args(args).ranked
    scores = [user["engagement_score"] for user in ranked]
    yield "everybody scores 0" if len(scores) > 1 and not any(scores) else ""
    yield "somebody scores 0" if any(scores) and not all(scores) else ""
    yield "the same user twice" if max(Counter(map(str, ranked)).values(), default=0) > 1 else ""
    yield "everybody scores alike" if len(scores) > 2 and len(set(scores)) == 1 and any(scores) else ""
    for rank, (one, other) in enumerate(pairwise(scores), 1):
        yield f"ranks {rank} and {rank + 1} tied" if one == other and len(set(scores)) > 2 else ""
        yield "scores differ in the twelfth digit" if 0 < one - other < 1e-11 * one else ""
    yield "scores above 10^14" if max(scores, default=0) > 1e14 else ""
    yield "scores below a hundredth" if any(0 < score < 0.01 for score in scores) else ""
    kinds = {type(value) for user in ranked for value in user.values()}
    yield (
        "numbers that are no integers"
        if float in kinds and any(isinstance(user["posts"], float) for user in ranked)
        else ""
    )


MONTHS = [f"{month:02d}" for month in range(1, 13)]
USERS = {
    "everybody scores 0",
    "somebody scores 0",
    "the same user twice",
    "everybody scores alike",
    "scores above 10^14",
    "scores below a hundredth",
    "numbers that are no integers",
}
MEAN = USERS | {
    *(f"{name} in month {month}" for name in ("active", "inactive") for month in MONTHS),
    *(f"active on {day}" for day in ("01-01", "12-31")),
    "active on the first day",
    "active on the last day",
    "a range of one day",
    "a range across New Year",
    "one active user",
    "a thousand active users",
    "scores differ in the twelfth digit",
}
ORDER = (
    USERS
    | {f"ranks {rank} and {rank + 1} tied" for rank in range(1, 6)}
    | {"scores differ in the twelfth digit"}
)


@pytest.mark.parametrize("seed", SEEDS)
def test_lists_of_the_mean_cover(seed: int) -> None:
    found = {
        feature for args in drawn(seed, "correct_average_calculation") for feature in features_of_mean(args)
    }
    assert found >= MEAN, sorted(MEAN - found)


@pytest.mark.parametrize("seed", SEEDS)
def test_lists_of_the_order_cover(seed: int) -> None:
    found = {
        feature for args in drawn(seed, "correct_sorting_direction") for feature in features_of_users(args)
    }
    assert found >= ORDER, sorted(ORDER - found)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_list_of_the_mean_but_the_crowds_has_users_on_both_ends(seed: int) -> None:
    """So an excluded end costs the mean in every case, and nothing else."""
    lists = drawn(seed, "correct_average_calculation")[:-3]
    assert len(lists) >= 40
    for args in lists:
        logins = {user["last_login"] for user in args[0]}
        assert {args[1], args[2]} <= logins


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["correct_sorting_direction", "handles_less_than_5_users"])
def test_other_lists_leave_the_ends_of_the_range_to_the_mean(seed: int, name: str) -> None:
    for args in drawn(seed, name):
        assert not {args[1], args[2]} & {user["last_login"] for user in args[0]}


@pytest.mark.parametrize("seed", SEEDS)
def test_nobody_is_active_before_and_after_every_kind_of_range(seed: int) -> None:
    lists = drawn(seed, "handles_no_active_users")
    lengths = {args[1] == args[2] for args in lists}
    sides = {(user["last_login"] < args[1]) for args in lists for user in args[0]}
    assert (lengths, sides) == ({True, False}, {True, False})


@pytest.mark.parametrize("seed", SEEDS)
def test_every_odd_value_is_tried_under_every_key(seed: int) -> None:
    tried = {
        (key, repr(user[key]))
        for family in robust_families(seed)
        for each in family.inputs
        if each.drawn
        for user in each.args[0]
        if isinstance(user, dict)
        for key in ("posts", "comments", "likes", "days_active")
        if not isinstance(user[key], int) or user[key] < 0
    }
    values = ["None", "-1", "-2.5", "'12'", "'2.5'", "'many'", "''"]
    assert tried == {
        (key, value) for key in ("posts", "comments", "likes", "days_active") for value in values
    }
