"""Arguments of the function: the fixed users, and how a failing list gets smaller."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from grader.challenges.user_metrics import judging
from grader.challenges.user_metrics.draws import Range, User
from grader.grading.challenge import Args, remove_items

YEAR = Range("2024-03-01", "2024-09-30")


def user(login: str, posts: Any, comments: Any, likes: Any, days: Any) -> User:
    """A user record in the order of the brief."""
    return {"last_login": login, "posts": posts, "comments": comments, "likes": likes, "days_active": days}


ANNA = user("2024-05-10", 10, 20, 100, 10)
BEN = user("2024-06-20", 3, 8, 40, 4)
CARL = user("2024-07-01", 30, 10, 50, 20)


def make_args(users: Sequence[Any], dates: Range = YEAR) -> Args:
    """The three arguments; they remember the right answer."""
    return judging.MetricsArgs((list(users), dates.start, dates.end))


def fewer_users(args: Args) -> Iterator[Args]:
    """The same call with fewer users."""
    for users in remove_items(args[0]):
        yield judging.MetricsArgs((users, *args[1:]))


def smaller(args: Args, keep: Callable[[list[Any]], bool]) -> Iterator[Args]:
    """Smaller lists that keep what the case is about."""
    return (each for each in fewer_users(args) if keep(each[0]))


def some_left(args: Args) -> Iterator[Args]:
    """Smaller lists that are not empty."""
    return smaller(args, bool)
