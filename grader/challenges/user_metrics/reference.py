"""The right answer, where the brief has only one."""

from __future__ import annotations

from math import fsum, isfinite
from typing import Any

TOP = 5
FIELDS = ("average_engagement", "top_performers", "active_count")
KEYS = ("last_login", "posts", "comments", "likes", "days_active")


def number(value: Any) -> float:
    """The value as a finite number, 0 for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return 0.0
    try:
        found = float(value)
    except ValueError:
        return 0.0
    return found if isfinite(found) else 0.0


def engagement(user: dict[str, Any]) -> float:
    """The engagement score of one user; 0 for a user without active days."""
    days = number(user.get("days_active"))
    raw = number(user.get("posts")) * 2 + number(user.get("comments")) * 1.5 + number(user.get("likes")) * 0.1
    return raw / days if days > 0 else 0.0


def is_active(user: Any, start_date: str, end_date: str) -> bool:
    """Whether the user's last login lies in the range, both ends included."""
    if not isinstance(user, dict):
        return False
    login = user.get("last_login")
    return isinstance(login, str) and start_date <= login <= end_date


def ranked_users(users: list[Any], start_date: str, end_date: str) -> list[dict[str, Any]]:
    """Copies of the active users with their scores, highest first."""
    active = [
        {**user, "engagement_score": engagement(user)}
        for user in users
        if is_active(user, start_date, end_date)
    ]
    return sorted(active, key=lambda user: user["engagement_score"], reverse=True)


def calculate_user_metrics(users: list[Any], start_date: str, end_date: str) -> dict[str, Any]:
    """The reference solution; leaves its arguments alone."""
    return summary(ranked_users(users, start_date, end_date))


def summary(active: list[dict[str, Any]]) -> dict[str, Any]:
    """The result for active users in the order of their scores."""
    total = fsum(user["engagement_score"] for user in active)
    return {
        "average_engagement": total / len(active) if active else 0,
        "top_performers": active[:TOP],
        "active_count": len(active),
    }
