# expect: full
from datetime import datetime


def parse(text):
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()
    except (TypeError, ValueError):
        return None


def to_number(value):
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0


def calculate_user_metrics(users, start_date, end_date):
    start, end = parse(start_date), parse(end_date)
    rows = []
    for user in users:
        if not isinstance(user, dict):
            continue
        day = parse(user.get("last_login"))
        if day and start <= day <= end:
            days = to_number(user.get("days_active"))
            points = to_number(user.get("posts")) * 2 + to_number(user.get("comments")) * 1.5
            points += to_number(user.get("likes")) * 0.1
            rows.append(dict(user, engagement_score=points / days if days else 0))
    rows.sort(key=lambda row: -row["engagement_score"])
    mean = sum(row["engagement_score"] for row in rows) / len(rows) if rows else 0
    return {"average_engagement": mean, "top_performers": rows[:5], "active_count": len(rows)}
