# expect: full
from typing import Any, List, NamedTuple, Optional, TypedDict


class Result(TypedDict):
    average_engagement: float
    top_performers: List[dict]
    active_count: int


class Scored(NamedTuple):
    score: float
    user: dict


def _safe_float(value: Any, default: float = 0.0) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return default


def _login(user: Any) -> Optional[str]:
    login = user.get("last_login") if isinstance(user, dict) else None
    return login if isinstance(login, str) else None


def calculate_user_metrics(users: List[Any], start_date: str, end_date: str) -> Result:
    scored: List[Scored] = []
    for user in users:
        login = _login(user)
        if login is None or not (start_date <= login <= end_date):
            continue
        days = _safe_float(user.get("days_active"))
        raw = (
            _safe_float(user.get("posts")) * 2
            + _safe_float(user.get("comments")) * 1.5
            + _safe_float(user.get("likes")) * 0.1
        )
        scored.append(Scored(raw / days if days else 0.0, user))
    scored.sort(key=lambda item: item.score, reverse=True)
    average = sum(item.score for item in scored) / len(scored) if scored else 0.0
    top = [dict(item._asdict()["user"], engagement_score=item.score) for item in scored[:5]]
    return Result(average_engagement=average, top_performers=top, active_count=len(scored))
