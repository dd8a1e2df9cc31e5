# expect: full
import heapq


def calculate_user_metrics(users, start_date, end_date):
    def num(user, key):
        value = user.get(key)
        if isinstance(value, (int, float)):
            return value
        try:
            return float(str(value))
        except ValueError:
            return 0

    heap, total, count = [], 0.0, 0
    for position, user in enumerate(users):
        if not isinstance(user, dict):
            continue
        login = user.get("last_login")
        if not isinstance(login, str) or login < start_date or login > end_date:
            continue
        days = num(user, "days_active")
        raw = 2 * num(user, "posts") + 1.5 * num(user, "comments") + 0.1 * num(user, "likes")
        value = raw / days if days > 0 else 0.0
        total += value
        count += 1
        entry = (value, -position, user)
        if len(heap) < 5:
            heapq.heappush(heap, entry)
        else:
            heapq.heappushpop(heap, entry)
    best = [{**user, "engagement_score": value} for value, _, user in sorted(heap, reverse=True)]
    return {"average_engagement": total / count if count else 0, "top_performers": best, "active_count": count}
