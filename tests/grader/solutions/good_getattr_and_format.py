# expect: full
FIELDS = ("posts", "comments", "likes", "days_active")


class Record:
    def __init__(self, user):
        for name in FIELDS:
            value = user.get(name)
            try:
                setattr(self, name, float(value))
            except (TypeError, ValueError):
                setattr(self, name, 0.0)

    def score(self):
        weighted = [getattr(self, name) * weight for name, weight in zip(FIELDS, (2, 1.5, 0.1))]
        return sum(weighted) / getattr(self, "days_active") if getattr(self, "days_active", 0) else 0.0


def calculate_user_metrics(users, start_date, end_date):
    print("range {0} to {1}: {count:>5} users".format(start_date, end_date, count=len(users)))
    chosen = [u for u in users if hasattr(u, "get") and isinstance(u.get("last_login"), str)]
    chosen = [u for u in chosen if start_date <= u["last_login"] <= end_date]
    ranked = sorted(({**u, "engagement_score": Record(u).score()} for u in chosen), key=lambda u: u["engagement_score"], reverse=True)
    mean = sum(u["engagement_score"] for u in ranked) / len(ranked) if ranked else 0
    return {"average_engagement": mean, "top_performers": ranked[:5], "active_count": len(ranked)}
