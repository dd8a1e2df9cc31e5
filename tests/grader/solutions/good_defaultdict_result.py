# expect: full
from collections import OrderedDict, defaultdict


def calculate_user_metrics(users, start_date, end_date):
    buckets = defaultdict(list)
    for user in users:
        if isinstance(user, dict):
            login = user.get("last_login")
            buckets[isinstance(login, str) and start_date <= login <= end_date].append(user)

    def number(user, key):
        try:
            return float(user.get(key, 0))
        except (TypeError, ValueError):
            return 0.0

    scored = []
    for user in buckets[True]:
        days = number(user, "days_active")
        raw = number(user, "posts") * 2 + number(user, "comments") * 1.5 + number(user, "likes") * 0.1
        entry = OrderedDict(user)
        entry["engagement_score"] = raw / days if days else 0.0
        scored.append(entry)
    scored.sort(key=lambda entry: entry["engagement_score"], reverse=True)
    result = defaultdict(int)
    result["active_count"] = len(scored)
    result["average_engagement"] = sum(e["engagement_score"] for e in scored) / len(scored) if scored else 0
    result["top_performers"] = scored[:5]
    return result
