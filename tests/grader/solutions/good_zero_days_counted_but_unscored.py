# expect: full
def calculate_user_metrics(users, start_date, end_date):
    count = 0
    scored = []
    for user in users:
        if not isinstance(user, dict):
            continue
        login = user.get("last_login")
        if not isinstance(login, str) or not start_date <= login <= end_date:
            continue
        try:
            posts, comments, likes = (float(user.get(k, 0)) for k in ("posts", "comments", "likes"))
            days = float(user.get("days_active", 1))
        except (TypeError, ValueError):
            continue
        count += 1
        if days == 0:
            continue
        scored.append({**user, "engagement_score": (posts * 2 + comments * 1.5 + likes * 0.1) / days})
    scored.sort(key=lambda u: u["engagement_score"], reverse=True)
    average = sum(u["engagement_score"] for u in scored) / len(scored) if scored else 0
    return {"average_engagement": average, "top_performers": scored[:5], "active_count": count}
