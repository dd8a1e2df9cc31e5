# expect: full
def calculate_user_metrics(users, start_date, end_date):
    mean, count, rows = 0.0, 0, []
    for user in users:
        if not isinstance(user, dict):
            continue
        login = user.get("last_login")
        if not isinstance(login, str) or not (start_date <= login <= end_date):
            continue
        numbers = []
        for key in ("posts", "comments", "likes", "days_active"):
            value = user.get(key, 0)
            if isinstance(value, str):
                try:
                    value = float(value)
                except ValueError:
                    value = 0
            numbers.append(value if isinstance(value, (int, float)) else 0)
        posts, comments, likes, days = numbers
        score = (posts * 2 + comments * 1.5 + likes * 0.1) / days if days > 0 else 0
        count += 1
        mean += (score - mean) / count
        rows.append({**user, "engagement_score": score})
    rows.sort(key=lambda row: row["engagement_score"], reverse=True)
    top = [{**row, "rank": rank} for rank, row in enumerate(rows[:5], 1)]
    return {"average_engagement": mean, "top_performers": top, "active_count": count}
