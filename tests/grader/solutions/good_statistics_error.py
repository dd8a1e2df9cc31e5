# expect: full
from statistics import StatisticsError, mean


def number(value):
    try:
        return float(value)
    except Exception:
        return 0.0


def calculate_user_metrics(users, start_date, end_date):
    result = []
    for user in users:
        if isinstance(user, dict):
            login = user.get("last_login") or ""
            if isinstance(login, str) and start_date <= login <= end_date:
                copy = user.copy()
                raw = number(user.get("posts", 0)) * 2 + number(user.get("comments", 0)) * 1.5
                raw += number(user.get("likes", 0)) * 0.1
                copy["engagement_score"] = raw / max(number(user.get("days_active", 1)), 1)
                result.append(copy)
    try:
        average = mean(user["engagement_score"] for user in result)
    except StatisticsError:
        average = 0
    result = sorted(result, key=lambda user: user["engagement_score"])[::-1]
    return {"average_engagement": average, "top_performers": result[:5], "active_count": len(result)}
