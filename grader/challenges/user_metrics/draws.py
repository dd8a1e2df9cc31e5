"""Drawn users and ranges. Whatever is drawn here is healthy; the cases spoil it on purpose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from grader.challenges.user_metrics.reference import engagement
from grader.grading.random_source import Draws

User = dict[str, Any]

_GAP = 0.05
"""Scores of one data set differ by at least this much, so that rounding to two decimals cannot change the
order."""


@dataclass(frozen=True)
class Range:
    """A range of dates inside one year, so that text comparison decides about text that is no date as
    well."""

    start: str
    end: str


def draw_range(draws: Draws) -> Range:
    """From February-April to August-October of one year."""
    year = draws.integer(2019, 2024)
    start = f"{year}-{draws.integer(2, 4):02d}-{draws.integer(2, 27):02d}"
    return Range(start, f"{year}-{draws.integer(8, 10):02d}-{draws.integer(2, 27):02d}")


def date_inside(draws: Draws, dates: Range) -> str:
    """A day well inside the range."""
    return f"{dates.start[:4]}-{draws.integer(5, 7):02d}-{draws.integer(1, 28):02d}"


def date_before(draws: Draws, dates: Range) -> str:
    """A day before the range, often the one right before it."""
    if draws.chance(0.4):
        return f"{dates.start[:8]}{int(dates.start[8:]) - 1:02d}"
    return f"{int(dates.start[:4]) - draws.integer(0, 1)}-01-{draws.integer(1, 28):02d}"


def date_after(draws: Draws, dates: Range) -> str:
    """A day after the range, often the one right after it."""
    if draws.chance(0.4):
        return f"{dates.end[:8]}{int(dates.end[8:]) + 1:02d}"
    return f"{int(dates.end[:4]) + draws.integer(0, 1)}-12-{draws.integer(1, 28):02d}"


def draw_user(draws: Draws, login: str) -> User:
    """A healthy user: whole numbers, at least one active day, a score above 1."""
    return {
        "last_login": login,
        "posts": draws.integer(1, 60),
        "comments": draws.integer(1, 120),
        "likes": draws.integer(1, 900),
        "days_active": draws.integer(1, 25),
    }


def draw_users(draws: Draws, logins: list[str]) -> list[User]:
    """One healthy user per date, all scores clearly apart, at least one of the days_active above 1."""
    users: list[User] = []
    taken: list[float] = []
    for login in logins:
        user = draw_user(draws, login)
        while any(abs(engagement(user) - other) < _GAP for other in taken):
            user = draw_user(draws, login)
        taken.append(engagement(user))
        users.append(user)
    return users


def draw_active(draws: Draws, dates: Range, count: int) -> list[User]:
    """`count` healthy users inside the range, in random order."""
    return draw_users(draws, [date_inside(draws, dates) for _ in range(count)])
