# expect: full
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(order=True)
class Scored:
    score: float
    user: dict[str, Any] = field(compare=False)

    def as_dict(self) -> dict[str, Any]:
        return {**self.user, "engagement_score": self.score}


@dataclass(frozen=True)
class Window:
    start: str
    end: str

    def __contains__(self, login: object) -> bool:
        return isinstance(login, str) and self.start <= login <= self.end


def _num(value: Any) -> float:
    if isinstance(value, bool):
        return 0.0
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0


def _score(user: dict[str, Any]) -> float:
    days = _num(user.get("days_active"))
    if days <= 0:
        return 0.0
    return (_num(user.get("posts")) * 2 + _num(user.get("comments")) * 1.5 + _num(user.get("likes")) * 0.1) / days


def calculate_user_metrics(users: list[dict[str, Any]], start_date: str, end_date: str) -> dict[str, Any]:
    """Return the engagement summary of the users active in the window."""
    window = Window(start_date, end_date)
    scored = [Scored(_score(u), u) for u in users if isinstance(u, dict) and u.get("last_login") in window]
    scored.sort(reverse=True)
    return {
        "average_engagement": sum(s.score for s in scored) / len(scored) if scored else 0.0,
        "top_performers": [s.as_dict() for s in scored[:5]],
        "active_count": len(scored),
    }
