# expect: full
import bisect


def calculate_user_metrics(users, start_date, end_date):
    best = []
    keys = []
    total = count = 0
    for user in users:
        if not isinstance(user, dict) or not isinstance(user.get("last_login"), str):
            continue
        if user["last_login"] < start_date or user["last_login"] > end_date:
            continue
        try:
            days = float(user.get("days_active", 0))
            raw = float(user.get("posts", 0)) * 2 + float(user.get("comments", 0)) * 1.5 + float(user.get("likes", 0)) * 0.1
        except (TypeError, ValueError):
            continue
        score = raw / days if days else 0.0
        total += score
        count += 1
        place = bisect.bisect(keys, -score)
        if place < 5:
            keys.insert(place, -score)
            best.insert(place, {**user, "engagement_score": score})
            del keys[5:]
            if len(best) > 5:
                best.pop()
    return {"average_engagement": total / count if count else 0, "top_performers": best, "active_count": count}
