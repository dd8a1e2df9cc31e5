# expect: full
def calculate_user_metrics(users, start_date, end_date):
    empty = {"average_engagement": 0, "top_performers": [], "active_count": 0}
    if not users:
        return empty

    def num(value):
        try:
            return float(value)
        except (TypeError, ValueError):
            return 0.0

    active = []
    for user in users:
        if not isinstance(user, dict):
            continue
        login = user.get("last_login")
        if not isinstance(login, str) or not (start_date <= login <= end_date):
            continue
        days = num(user.get("days_active"))
        raw = num(user.get("posts")) * 2 + num(user.get("comments")) * 1.5 + num(user.get("likes")) * 0.1
        active.append({**user, "engagement_score": raw / days if days > 0 else 0.0})
    if not active:
        return empty
    active.sort(key=lambda u: u["engagement_score"], reverse=True)
    return {
        "average_engagement": sum(u["engagement_score"] for u in active) / len(active),
        "top_performers": active[:5],
        "active_count": len(active),
    }


name = input("Who are you? ")
print("Hello", name)
print(calculate_user_metrics(undefined_sample_users, "2024-01-01", "2024-12-31"))
