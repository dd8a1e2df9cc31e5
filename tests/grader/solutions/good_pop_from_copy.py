# expect: full
from collections import deque


def calculate_user_metrics(users, start_date, end_date):
    queue = list(users)
    done = deque()
    while queue:
        user = queue.pop(0)
        if not isinstance(user, dict):
            continue
        login = user.get("last_login")
        if not isinstance(login, str) or not (start_date <= login <= end_date):
            continue
        try:
            score = (
                float(user.get("posts", 0)) * 2 + float(user.get("comments", 0)) * 1.5 + float(user.get("likes", 0)) * 0.1
            ) / float(user.get("days_active", 0))
        except (TypeError, ValueError, ZeroDivisionError):
            score = 0.0
        done.append({**user, "engagement_score": score})
    top = sorted(done, key=lambda u: u["engagement_score"], reverse=True)[:5]
    average = sum(u["engagement_score"] for u in done) / len(done) if done else 0
    return {"average_engagement": average, "top_performers": top, "active_count": len(done)}
