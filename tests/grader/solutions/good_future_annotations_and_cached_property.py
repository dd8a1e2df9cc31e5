# expect: full
from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, wraps
from typing import Callable, ClassVar, Iterable


def quietly(default: float) -> Callable:
    def decorate(function: Callable) -> Callable:
        @wraps(function)
        def wrapper(*args, **kwargs):
            try:
                return function(*args, **kwargs)
            except (TypeError, ValueError, ZeroDivisionError):
                return default

        return wrapper

    return decorate


@quietly(0.0)
def to_float(value: object) -> float:
    return float(value)


@dataclass
class Report:
    users: list[Scored] = field(default_factory=list)
    limit: ClassVar[int] = 5

    @cached_property
    def average(self) -> float:
        return sum(u.score for u in self.users) / len(self.users) if self.users else 0.0

    def top(self) -> list[dict]:
        ranked = sorted(self.users, key=lambda u: u.score, reverse=True)
        return [u.merged for u in ranked[: self.limit]]


@dataclass
class Scored:
    raw: dict

    @cached_property
    def score(self) -> float:
        return self._score()

    @quietly(0.0)
    def _score(self) -> float:
        points = to_float(self.raw.get("posts")) * 2 + to_float(self.raw.get("comments")) * 1.5
        return (points + to_float(self.raw.get("likes")) * 0.1) / to_float(self.raw.get("days_active"))

    @property
    def merged(self) -> dict:
        return {**self.raw, "engagement_score": self.score}


def active(users: Iterable[object], start: str, end: str) -> Iterable[dict]:
    for user in users:
        match user:
            case {"last_login": str() as login} if start <= login <= end:
                yield user


def calculate_user_metrics(users, start_date, end_date):
    report = Report([Scored(user) for user in active(users, start_date, end_date)])
    return {"average_engagement": report.average, "top_performers": report.top(), "active_count": len(report.users)}
