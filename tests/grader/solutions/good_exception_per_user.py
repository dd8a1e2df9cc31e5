# expect: full
def calculate_user_metrics(users, start_date, end_date):
    active = []
    for user in users:
        try:
            login = user["last_login"]
            if login is None or login == "":
                raise ValueError("no login date")
            if not (start_date <= login <= end_date):
                continue
            days_active = user["days_active"]
            score = (user["posts"] * 2 + user["comments"] * 1.5 + user["likes"] * 0.1) / days_active
        except ZeroDivisionError:
            score = 0
        except Exception:
            continue
        active.append({**user, "engagement_score": score})
    active = sorted(active, key=lambda x: x["engagement_score"], reverse=True)
    average_engagement = 0
    if active:
        average_engagement = sum([x["engagement_score"] for x in active]) / len(active)
    return {
        "average_engagement": average_engagement,
        "top_performers": active[:5],
        "active_count": len(active),
    }
