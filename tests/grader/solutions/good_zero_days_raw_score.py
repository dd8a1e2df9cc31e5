# expect: full
def calculate_user_metrics(users, start_date, end_date):
    def f(x):
        try:
            return float(x)
        except (TypeError, ValueError):
            return 0.0

    out = []
    for u in users or []:
        if isinstance(u, dict) and isinstance(u.get("last_login"), str) and start_date <= u["last_login"] <= end_date:
            d = f(u.get("days_active")) or 1
            out.append({**u, "engagement_score": (f(u.get("posts")) * 2 + f(u.get("comments")) * 1.5 + f(u.get("likes")) * 0.1) / d})
    out.sort(key=lambda u: u["engagement_score"], reverse=True)
    n = len(out)
    return {"average_engagement": sum(u["engagement_score"] for u in out) / n if n else 0, "top_performers": out[:5], "active_count": n}
