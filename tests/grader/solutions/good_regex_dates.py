# expect: full
import math
import re

DATE = re.compile(r"^\d{4}-\d{2}-\d{2}$")


def finite(value):
    try:
        number = float(value)
    except (TypeError, ValueError):
        return 0.0
    return number if math.isfinite(number) else 0.0


def calculate_user_metrics(users, start_date, end_date):
    if not users or start_date > end_date:
        return {"average_engagement": 0, "top_performers": [], "active_count": 0}
    active = []
    for user in users:
        if not isinstance(user, dict) or not DATE.match(str(user.get("last_login", ""))):
            continue
        if start_date <= user["last_login"] <= end_date:
            days = finite(user.get("days_active"))
            raw = finite(user.get("posts")) * 2 + finite(user.get("comments")) * 1.5 + finite(user.get("likes")) * 0.1
            active.append({**user, "engagement_score": raw / days if days else 0.0})
    if not active:
        return {"average_engagement": 0, "top_performers": [], "active_count": 0}
    active.sort(key=lambda user: user["engagement_score"], reverse=True)
    average = math.fsum(user["engagement_score"] for user in active) / len(active)
    return {"average_engagement": average, "top_performers": active[:5], "active_count": len(active)}
