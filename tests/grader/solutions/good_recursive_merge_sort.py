# expect: full
def merge_sort(rows):
    if len(rows) <= 1:
        return rows
    middle = len(rows) // 2
    left, right = merge_sort(rows[:middle]), merge_sort(rows[middle:])
    merged, i, j = [], 0, 0
    while i < len(left) and j < len(right):
        if left[i]["engagement_score"] >= right[j]["engagement_score"]:
            merged.append(left[i])
            i += 1
        else:
            merged.append(right[j])
            j += 1
    return merged + left[i:] + right[j:]


def to_number(value):
    if isinstance(value, str):
        value = value.strip()
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0


def calculate_user_metrics(users, start_date, end_date):
    active = []
    for user in users:
        if not isinstance(user, dict):
            continue
        login = user.get("last_login")
        if not isinstance(login, str) or not start_date <= login <= end_date:
            continue
        days = to_number(user.get("days_active"))
        raw = to_number(user.get("posts")) * 2 + to_number(user.get("comments")) * 1.5 + to_number(user.get("likes")) * 0.1
        active.append({**user, "engagement_score": raw / days if days > 0 else 0.0})
    ordered = merge_sort(active)
    total = sum(user["engagement_score"] for user in ordered)
    return {
        "average_engagement": total / len(ordered) if ordered else 0,
        "top_performers": ordered[:5],
        "active_count": len(ordered),
    }
