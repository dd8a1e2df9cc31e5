# expect: full
import heapq
from math import fsum

WEIGHTS = {"posts": 2, "comments": 1.5, "likes": 0.1}


def number(user, key):
    value = user.get(key, 0)
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0


def score(user):
    days = number(user, "days_active")
    if days <= 0:
        return 0.0
    return sum(weight * number(user, key) for key, weight in WEIGHTS.items()) / days


def calculate_user_metrics(users, start_date, end_date):
    active = [
        {**user, "engagement_score": score(user)}
        for user in users
        if isinstance(user, dict)
        and isinstance(user.get("last_login"), str)
        and start_date <= user["last_login"] <= end_date
    ]
    scores = [user["engagement_score"] for user in active]
    return {
        "average_engagement": fsum(scores) / len(scores) if scores else 0.0,
        "top_performers": heapq.nlargest(5, active, key=lambda user: user["engagement_score"]),
        "active_count": len(active),
    }
