# expect: full
from itertools import islice


def records(users):
    for user in users:
        if isinstance(user, dict):
            yield user


def within(users, start, end):
    yield from (u for u in users if isinstance(u.get("last_login"), str) and start <= u["last_login"] <= end)


def scored(users):
    def num(value):
        try:
            return float(value)
        except (TypeError, ValueError):
            return 0.0

    for user in users:
        days = num(user.get("days_active"))
        raw = num(user.get("posts")) * 2 + num(user.get("comments")) * 1.5 + num(user.get("likes")) * 0.1
        yield {**user, "engagement_score": raw / days if days else 0.0}


def calculate_user_metrics(users, start_date, end_date):
    ranked = sorted(scored(within(records(users), start_date, end_date)), key=lambda u: u["engagement_score"], reverse=True)
    count = len(ranked)
    return {
        "average_engagement": sum(u["engagement_score"] for u in ranked) / count if count else 0,
        "top_performers": list(islice(ranked, 5)),
        "active_count": count,
    }
