# expect: full
def calculate_user_metrics(users, start_date, end_date):
    active = []
    for user in users:
        if not isinstance(user, dict):
            continue
        login = user.get("last_login")
        if not isinstance(login, str) or not start_date <= login <= end_date:
            continue
        values = []
        for key in ("posts", "comments", "likes", "days_active"):
            try:
                values.append(float(user.get(key) or 0))
            except (TypeError, ValueError):
                values.append(0.0)
        posts, comments, likes, days = values
        score = round((posts * 2 + comments * 1.5 + likes * 0.1) / days, 2) if days > 0 else 0.0
        active.append({**user, "engagement_score": score})
    active.sort(key=lambda u: u["engagement_score"], reverse=True)
    average = round(sum(u["engagement_score"] for u in active) / len(active), 2) if active else 0.0
    return {"average_engagement": average, "top_performers": active[:5], "active_count": len(active)}
