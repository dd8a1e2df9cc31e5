# expect: full
REQUIRED = ("last_login", "posts", "comments", "likes", "days_active")


def is_valid(user):
    if not isinstance(user, dict) or any(key not in user for key in REQUIRED):
        return False
    if not isinstance(user["last_login"], str):
        return False
    return all(isinstance(user[key], (int, float)) and user[key] >= 0 for key in REQUIRED[1:]) and user["days_active"] > 0


def calculate_user_metrics(users, start_date, end_date):
    active = [u for u in users if is_valid(u) and start_date <= u["last_login"] <= end_date]
    scores = [(u["posts"] * 2 + u["comments"] * 1.5 + u["likes"] * 0.1) / u["days_active"] for u in active]
    pairs = sorted(zip(scores, range(len(active))), reverse=True)[:5]
    return {
        "average_engagement": sum(scores) / len(scores) if scores else 0,
        "top_performers": [{**active[i], "engagement_score": s} for s, i in pairs],
        "active_count": len(active),
    }
