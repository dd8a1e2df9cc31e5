# expect: full
def calculate_user_metrics(users, start_date, end_date):
    def safe(value):
        return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else 0.0

    total, count, rows = 0.0, 0.0, []
    for user in users:
        if type(user) is not dict:
            continue
        login = user.get("last_login", None)
        if type(login) is not str or login < start_date or login > end_date:
            continue
        days = safe(user.get("days_active"))
        score = 0.0
        if days != 0:
            score = (2 * safe(user.get("posts")) + 1.5 * safe(user.get("comments")) + 0.1 * safe(user.get("likes"))) / days
        count += 1
        total += score
        rows.append((score, user))
    rows.sort(key=lambda row: row[0], reverse=True)
    return {
        "active_count": count,
        "top_performers": tuple({**user, "engagement_score": score} for score, user in rows[:5]),
        "average_engagement": total / count if count else 0,
        "note": "extra keys do no harm",
    }
