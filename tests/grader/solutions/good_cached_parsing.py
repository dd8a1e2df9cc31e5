# expect: full
from datetime import date
from functools import lru_cache


@lru_cache(maxsize=None)
def parse_date(text):
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _f(value):
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0


def calculate_user_metrics(users, start_date, end_date):
    start = parse_date(start_date)
    end = parse_date(end_date)
    active = []
    for user in users:
        if not isinstance(user, dict):
            continue
        login = user.get("last_login")
        if not isinstance(login, str):
            continue
        parsed = parse_date(login)
        if parsed is None or parsed < start or parsed > end:
            continue
        days = _f(user.get("days_active"))
        raw = 2 * _f(user.get("posts")) + 1.5 * _f(user.get("comments")) + 0.1 * _f(user.get("likes"))
        active.append({**user, "last_login": parsed, "engagement_score": raw / days if days else 0.0})
    active.sort(key=lambda u: (-u["engagement_score"], u["last_login"]))
    average = sum(u["engagement_score"] for u in active) / len(active) if active else 0
    return {"average_engagement": average, "top_performers": active[:5], "active_count": len(active)}
