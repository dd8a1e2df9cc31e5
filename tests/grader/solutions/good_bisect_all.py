# expect: full
from bisect import insort


def calculate_user_metrics(users, start_date, end_date):
    def clean(value):
        try:
            return float(value)
        except (TypeError, ValueError):
            return 0.0

    ranking = []
    for number, user in enumerate(users):
        if not isinstance(user, dict):
            continue
        login = user.get("last_login")
        if not isinstance(login, str) or not start_date <= login <= end_date:
            continue
        days = clean(user.get("days_active"))
        raw = clean(user.get("posts")) * 2 + clean(user.get("comments")) * 1.5 + clean(user.get("likes")) * 0.1
        insort(ranking, (-(raw / days) if days else 0.0, number))
    top = [{**users[number], "engagement_score": -score} for score, number in ranking[:5]]
    average = -sum(score for score, _ in ranking) / len(ranking) if ranking else 0.0
    return {"average_engagement": average, "top_performers": top, "active_count": len(ranking)}
