# expect: full
import random


def quicksort(rows):
    if len(rows) < 2:
        return rows
    pivot = random.choice(rows)[0]
    higher = [row for row in rows if row[0] > pivot]
    equal = [row for row in rows if row[0] == pivot]
    lower = [row for row in rows if row[0] < pivot]
    return quicksort(higher) + equal + quicksort(lower)


def num(value):
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0


def calculate_user_metrics(users, start_date, end_date):
    rows = []
    for user in users:
        if isinstance(user, dict) and isinstance(user.get("last_login"), str) and start_date <= user["last_login"] <= end_date:
            days = num(user.get("days_active"))
            raw = num(user.get("posts")) * 2 + num(user.get("comments")) * 1.5 + num(user.get("likes")) * 0.1
            rows.append((raw / days if days else 0.0, user))
    rows = quicksort(rows)
    return {
        "average_engagement": sum(score for score, _ in rows) / len(rows) if rows else 0,
        "top_performers": [{**user, "engagement_score": score} for score, user in rows[:5]],
        "active_count": len(rows),
    }
