# expect: zero=efficient_implementation
def calculate_user_metrics(users, start_date, end_date):
    active = []
    total = 0.0
    for user in users or []:
        if not isinstance(user, dict):
            continue
        login = user.get("last_login")
        if not isinstance(login, str) or len(login) != 10 or not (start_date <= login <= end_date):
            continue

        def number(key):
            value = user.get(key)
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                try:
                    value = float(value)
                except (TypeError, ValueError):
                    value = 0
            return value

        days = number("days_active")
        raw = number("posts") * 2 + number("comments") * 1.5 + number("likes") * 0.1
        score = raw / days if days > 0 else 0.0
        total += score
        active.append({**user, "engagement_score": score})
    active.sort(key=lambda u: u["engagement_score"], reverse=True)
    ranks = [next(i for i, other in enumerate(active) if other is user) for user in active]
    return {
        "average_engagement": total / len(active) if active else 0,
        "top_performers": active[:5],
        "active_count": len(active),
    }
