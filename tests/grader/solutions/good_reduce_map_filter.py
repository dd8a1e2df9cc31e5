# expect: full
from functools import reduce


def calculate_user_metrics(users, start_date, end_date):
    to_float = lambda v: float(v) if isinstance(v, (int, float)) or (isinstance(v, str) and v.replace(".", "", 1).isdigit()) else 0.0
    is_active = lambda u: isinstance(u, dict) and isinstance(u.get("last_login"), str) and start_date <= u["last_login"] <= end_date
    raw = lambda u: to_float(u.get("posts")) * 2 + to_float(u.get("comments")) * 1.5 + to_float(u.get("likes")) * 0.1
    score = lambda u: raw(u) / to_float(u.get("days_active")) if to_float(u.get("days_active")) > 0 else 0.0
    active = list(map(lambda u: {**u, "engagement_score": score(u)}, filter(is_active, users)))
    total = reduce(lambda acc, u: acc + u["engagement_score"], active, 0.0)
    active.sort(key=lambda u: u["engagement_score"], reverse=True)
    return {"average_engagement": total / len(active) if active else 0.0, "top_performers": active[:5], "active_count": len(active)}
