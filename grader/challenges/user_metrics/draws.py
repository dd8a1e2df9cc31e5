"""Drawn users and ranges that cover what users and ranges can be. Whatever is drawn here is healthy; the
cases spoil it on purpose.

A kind is chosen by the number of the case, never by chance, so that every seed covers every kind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from grader.challenges.user_metrics.reference import engagement
from grader.grading.random_source import Draws

User = dict[str, Any]

_GAP = 0.05
"""Scores of a data set "apart" differ by at least this much, so that rounding to two decimals cannot change
the order."""


@dataclass(frozen=True)
class Range:
    """A range of dates, both ends included."""

    start: str
    end: str

    @property
    def first(self) -> int:
        """The start as a day number."""
        return date.fromisoformat(self.start).toordinal()

    @property
    def last(self) -> int:
        """The end as a day number."""
        return date.fromisoformat(self.end).toordinal()


def day(number: int) -> str:
    """The date of a day number."""
    return date.fromordinal(number).isoformat()


# ranges


def draw_range(draws: Draws) -> Range:
    """From February-April to August-October of one year: text comparison decides about text that is no date
    as well."""
    year = draws.integer(2019, 2024)
    start = f"{year}-{draws.integer(2, 4):02d}-{draws.integer(2, 27):02d}"
    return Range(start, f"{year}-{draws.integer(8, 10):02d}-{draws.integer(2, 27):02d}")


RANGE_KINDS = ("one day", "a year", "within a month", "across New Year", "years", "a leap day", "months")


def draw_range_of(draws: Draws, number: int) -> Range:
    """A range of the kind that the number stands for."""
    kind = RANGE_KINDS[number % len(RANGE_KINDS)]
    year = draws.integer(2015, 2030)
    start = date(year, 1, 1).toordinal() + draws.integer(0, 364)
    if kind == "one day":
        ends = [date(year, 12, 31).toordinal(), date(year, 1, 1).toordinal(), start]
        return Range(*[day(ends[number // len(RANGE_KINDS) % 3])] * 2)
    if kind == "a year":
        return Range(f"{year}-01-01", f"{year}-12-31")
    if kind == "within a month":
        month = number // len(RANGE_KINDS) % 12 + 1
        return Range(f"{year}-{month:02d}-05", f"{year}-{month:02d}-{draws.integer(9, 24):02d}")
    if kind == "across New Year":
        return Range(f"{year}-{draws.integer(10, 12)}-15", f"{year + 1}-0{draws.integer(1, 3)}-10")
    if kind == "years":
        return Range(f"{year - draws.integer(2, 9)}-12-31", f"{year}-01-01")
    if kind == "a leap day":
        return Range("2024-02-28", "2024-02-29")
    return Range(day(start), day(start + draws.integer(40, 200)))


def date_inside(draws: Draws, dates: Range) -> str:
    """A day in the range, not on its ends where there are others: the ends are the average's matter."""
    inner = dates.last - dates.first > 1
    return day(draws.integer(dates.first + inner, dates.last - inner))


def date_before(draws: Draws, dates: Range) -> str:
    """A day before the range, often the one right before it."""
    return day(dates.first - (1 if draws.chance(0.4) else draws.integer(2, 500)))


def date_after(draws: Draws, dates: Range) -> str:
    """A day after the range, often the one right after it."""
    return day(dates.last + (1 if draws.chance(0.4) else draws.integer(2, 500)))


def every_month(dates: Range) -> list[str]:
    """A day in each month of the year in which the range begins and of the one in which it ends."""
    years = sorted({dates.start[:4], dates.end[:4]})
    return [f"{year}-{month:02d}-{month + 7:02d}" for year in years for month in range(1, 13)]


# users


def draw_user(draws: Draws, login: str) -> User:
    """A healthy user: whole numbers, at least one active day, a score above 1."""
    return {
        "last_login": login,
        "posts": draws.integer(1, 60),
        "comments": draws.integer(1, 120),
        "likes": draws.integer(1, 900),
        "days_active": draws.integer(1, 25),
    }


def draw_users(draws: Draws, logins: Sequence[str]) -> list[User]:
    """One healthy user per date, all scores clearly apart."""
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
    """`count` healthy users inside the range, in random order, all scores clearly apart."""
    return draw_users(draws, [date_inside(draws, dates) for _ in range(count)])


def _plain(draws: Draws, logins: Sequence[str]) -> list[User]:
    return [draw_user(draws, login) for login in logins]


def _all_zero(draws: Draws, logins: Sequence[str]) -> list[User]:
    return [{**each, "posts": 0, "comments": 0, "likes": 0} for each in _plain(draws, logins)]


def _some_zero(draws: Draws, logins: Sequence[str]) -> list[User]:
    """Every second user did nothing, or only one of the three things."""
    users = _plain(draws, logins)
    for place, each in enumerate(users):
        kept = ("nothing", "posts", "comments", "likes")[place // 2 % 4]
        if place % 2:
            each.update({key: 0 for key in ("posts", "comments", "likes") if key != kept})
    return users


def _large(draws: Draws, logins: Sequence[str]) -> list[User]:
    return [
        {**each, "posts": draws.integer(1, 9) * 10**15, "likes": draws.integer(1, 10**12)}
        for each in _plain(draws, logins)
    ]


def _small(draws: Draws, logins: Sequence[str]) -> list[User]:
    """Little done in many days: scores below one hundredth up to about one."""
    return [
        {**each, "posts": draws.integer(0, 2), "comments": 0, "days_active": draws.integer(300, 4000)}
        for each in _plain(draws, logins)
    ]


def _fractions(draws: Draws, logins: Sequence[str]) -> list[User]:
    """Numbers that are no integers: exact binary fractions and others."""
    return [
        {
            **each,
            "posts": draws.integer(1, 400) / 8,
            "comments": draws.integer(1, 999) / 10,
            "likes": draws.integer(1, 9999) / 7,
            "days_active": draws.integer(1, 40) / 2,
        }
        for each in _plain(draws, logins)
    ]


def _twice(draws: Draws, logins: Sequence[str]) -> list[User]:
    """The same record twice in a row, and once more at the end."""
    users = _plain(draws, logins[: (len(logins) + 1) // 2])
    return [*(dict(each) for each in users for _ in range(2)), dict(users[0])] if users else []


def _ties(draws: Draws, logins: Sequence[str]) -> list[User]:
    """Runs of exactly equal scores: 3 posts weigh as much as 4 comments."""
    users = []
    run = draws.integer(2, 4)
    base = draw_user(draws, "")
    for place, login in enumerate(logins):
        if place % run == 0:
            base = draw_user(draws, "")
        steps = place % run
        moved = {"posts": base["posts"] + 3 * (run - steps), "comments": base["comments"] + 4 * steps}
        users.append({**base, **moved, "last_login": login})
    return users


def _all_tied(draws: Draws, logins: Sequence[str]) -> list[User]:
    base = draw_user(draws, "")
    return [{**base, "last_login": login} for login in logins]


def _twelfth_digit(draws: Draws, logins: Sequence[str]) -> list[User]:
    """Scores that differ in the twelfth digit only."""
    places = list(range(1, len(logins) + 1))
    draws.shuffle(places)
    return [
        {"last_login": login, "posts": 10**11, "comments": 0, "likes": 8 * place, "days_active": 1}
        for login, place in zip(logins, places, strict=True)
    ]


USER_KINDS: dict[str, Callable[[Draws, Sequence[str]], list[User]]] = {
    "plain": _plain,
    "all zero": _all_zero,
    "some zero": _some_zero,
    "large": _large,
    "small": _small,
    "fractions": _fractions,
    "twice": _twice,
    "ties": _ties,
    "all tied": _all_tied,
    "twelfth digit": _twelfth_digit,
    "apart": draw_users,
}


def draw_users_of(draws: Draws, number: int, logins: Sequence[str]) -> list[User]:
    """One user per date (the kind "twice" has its own number), of the kind that the number stands for."""
    return list(USER_KINDS.values())[number % len(USER_KINDS)](draws, logins)
