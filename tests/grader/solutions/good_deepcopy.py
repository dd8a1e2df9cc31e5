# expect: full
import copy


def calculate_user_metrics(users, start_date, end_date):
    users = copy.deepcopy(users)
    active = []
    for user in users:
        if not isinstance(user, dict):
            continue
        for key in ("posts", "comments", "likes", "days_active"):
            try:
                user[key] = float(user[key])
            except (KeyError, TypeError, ValueError):
                user[key] = 0.0
        login = user.get("last_login")
        if not isinstance(login, str) or not start_date <= login <= end_date:
            continue
        days = user["days_active"]
        user["engagement_score"] = (
            (user["posts"] * 2 + user["comments"] * 1.5 + user["likes"] * 0.1) / days if days > 0 else 0.0
        )
        active.append(user)
    active.sort(key=lambda u: u["engagement_score"], reverse=True)
    total = 0
    for user in active:
        total += user["engagement_score"]
    return {
        "average_engagement": total / len(active) if len(active) > 0 else 0,
        "top_performers": active[0:5],
        "active_count": len(active),
    }
