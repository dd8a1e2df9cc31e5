# expect: full
from decimal import Decimal, InvalidOperation


def dec(value):
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return Decimal(0)
    return found if found.is_finite() else Decimal(0)


def calculate_user_metrics(users, start_date, end_date):
    active = []
    for user in users:
        if not isinstance(user, dict) or not isinstance(user.get("last_login"), str):
            continue
        if not start_date <= user["last_login"] <= end_date:
            continue
        days = dec(user.get("days_active", 0))
        raw = dec(user.get("posts", 0)) * 2 + dec(user.get("comments", 0)) * Decimal("1.5")
        raw += dec(user.get("likes", 0)) * Decimal("0.1")
        active.append({**user, "engagement_score": raw / days if days else Decimal(0)})
    active.sort(key=lambda user: user["engagement_score"], reverse=True)
    average = sum(user["engagement_score"] for user in active) / len(active) if active else Decimal(0)
    return {"average_engagement": average, "top_performers": active[:5], "active_count": len(active)}
