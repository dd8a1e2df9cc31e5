# expect: full
"""User metrics.

Uses most of what people reach for; none of it leaves the function.
"""
import abc
import array
import calendar
import collections.abc as cabc
import contextlib
import csv
import functools
import itertools
import operator
import pprint
import string
import sys
import textwrap
import time
import unicodedata
import warnings
from collections import ChainMap, Counter, UserDict, deque, namedtuple
from datetime import date, datetime, timedelta, timezone
from enum import IntEnum
from functools import partial, singledispatch
from typing import Generic, Protocol, TypeVar, cast

__all__ = ["calculate_user_metrics"]
__version__ = "1.0"

warnings.simplefilter("always")
T = TypeVar("T")
Row = namedtuple("Row", ["score", "index", "user"], defaults=(None,))


@singledispatch
def describe(value):
    return f"something: {value}"


@describe.register
def _(value: int):
    return f"a number: {value}"


@describe.register(dict)
def _describe_dict(value):
    return f"{len(value)} keys"


class Limit(IntEnum):
    TOP = 5


class Scorer(Protocol):
    def score(self, user: dict) -> float: ...


class Base(abc.ABC):
    @abc.abstractmethod
    def score(self, user):
        raise NotImplementedError


class Weighted(Base, Generic[T]):
    weights = dict(posts=2, comments=1.5, likes=0.1)
    calls = 0

    def __call__(self, user):
        type(self).calls += 1
        self.last = user
        return self.score(user)

    def score(self, user):
        values = ChainMap({k: self.number(v) for k, v in user.items()}, {"days_active": 0.0})
        raw = functools.reduce(operator.add, (values.get(k, 0.0) * w for k, w in self.weights.items()), 0.0)
        return raw / values["days_active"] if values["days_active"] else 0.0

    @classmethod
    def number(cls, value):
        with contextlib.suppress(TypeError, ValueError):
            return float(value)
        return 0.0


def timed(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        start = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            wrapper.seconds = time.perf_counter() - start
            print(f"{function.__name__} took {wrapper.seconds:.6f}s", file=sys.stderr, flush=True)

    wrapper.seconds = 0.0
    return wrapper


def parse(text):
    if not isinstance(text, str):
        return None
    try:
        return datetime.strptime(unicodedata.normalize("NFKC", text.strip()), "%Y-%m-%d").replace(tzinfo=timezone.utc)
    except ValueError:
        warnings.warn(f"not a date: {text!r}", stacklevel=2)
        return None


@timed
def calculate_user_metrics(users, start_date, end_date):
    scorer = Weighted()
    start, end = parse(start_date), parse(end_date)
    if start is None or end is None:
        return {"average_engagement": 0, "top_performers": [], "active_count": 0}
    rows = []
    for index, user in enumerate(itertools.filterfalse(lambda u: not isinstance(u, cabc.Mapping), users)):
        day = parse(user.get("last_login"))
        if day is None or not (start <= day < end + timedelta(days=1)):
            continue
        rows.append(Row(scorer(user), index, user))
    rows.sort(key=operator.attrgetter("score"), reverse=True)
    scores = array.array("d", [row.score for row in rows])
    average = sum(scores) / len(scores) if scores else 0
    seen = Counter(row.index for row in rows)
    assert all(count == 1 for count in seen.values())
    pprint.pprint({"days": calendar.monthrange(start.year, start.month), "today": date.today().isoformat()})
    print(textwrap.shorten("x " * 200, 40), string.capwords("done"), sys.getsizeof(rows), sys.version_info[:2], describe(3), describe({}), describe(None))
    merge = partial(dict)
    top = deque((merge(row.user, engagement_score=row._asdict()["score"]) for row in rows), maxlen=None)
    return cast(dict, {
        "average_engagement": average,
        "top_performers": [top[i] for i in range(min(int(Limit.TOP), len(top)))],
        "active_count": len(rows),
    })


if __name__ == "__main__":
    sys.exit(calculate_user_metrics([], "2024-01-01", "2024-12-31") is None)
