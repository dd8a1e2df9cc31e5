# expect: full
def calculate_user_metrics(users, start_date, end_date):
    active = []
    total = 0.0
    i = 0
    while i < len(users):
        user = users[i]
        i += 1
        if not isinstance(user, dict):
            continue
        login = user.get("last_login", "")
        if not isinstance(login, str):
            continue
        if login >= start_date and login <= end_date:
            values = [user.get("posts", 0), user.get("comments", 0), user.get("likes", 0), user.get("days_active", 0)]
            j = 0
            while j < len(values):
                if not isinstance(values[j], (int, float)):
                    values[j] = 0
                j += 1
            if values[3] > 0:
                score = (values[0] * 2 + values[1] * 1.5 + values[2] * 0.1) / values[3]
            else:
                score = 0
            total = total + score
            new_user = {}
            for key in user:
                new_user[key] = user[key]
            new_user["engagement_score"] = score
            active.append(new_user)
    active.sort(key=lambda u: u["engagement_score"], reverse=True)
    top = []
    k = 0
    while k < 5 and k < len(active):
        top.append(active[k])
        k += 1
    result = {}
    result["average_engagement"] = total / len(active) if len(active) != 0 else 0
    result["top_performers"] = top
    result["active_count"] = len(active)
    return result
