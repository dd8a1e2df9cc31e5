# expect: full
def parse(value):
    match value:
        case bool():
            return 0.0
        case int() | float():
            return float(value)
        case str() if value.strip().replace(".", "", 1).lstrip("-").isdigit():
            return float(value)
        case _:
            return 0.0


def calculate_user_metrics(users, start_date, end_date):
    active = []
    for user in users:
        match user:
            case {"last_login": str(login)} if start_date <= login <= end_date:
                if (days := parse(user.get("days_active"))) > 0:
                    raw = parse(user.get("posts")) * 2 + parse(user.get("comments")) * 1.5 + parse(user.get("likes")) * 0.1
                    score = raw / days
                else:
                    score = 0.0
                active.append(user | {"engagement_score": score})
            case _:
                continue
    if (count := len(active)) == 0:
        return {"average_engagement": 0, "top_performers": [], "active_count": 0}
    active.sort(key=lambda user: user["engagement_score"], reverse=True)
    average = sum(user["engagement_score"] for user in active) / count
    return {"average_engagement": average, "top_performers": active[:5], "active_count": count}
