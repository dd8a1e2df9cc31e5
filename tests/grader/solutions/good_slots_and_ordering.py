# expect: full
from functools import total_ordering


@total_ordering
class Entry:
    __slots__ = ("score", "user")

    def __init__(self, user, score):
        self.user = user
        self.score = score

    def __eq__(self, other):
        return self.score == other.score

    def __lt__(self, other):
        return self.score < other.score

    def __repr__(self):
        return f"{self.__class__.__name__}({self.score!r})"


def as_number(value, default=0.0):
    try:
        return float(value)
    except (TypeError, ValueError):
        return default


def calculate_user_metrics(users, start_date, end_date):
    entries = []
    for user in users:
        if not isinstance(user, dict):
            continue
        login = user.get("last_login")
        if not isinstance(login, str) or not (start_date <= login <= end_date):
            continue
        days = as_number(user.get("days_active"))
        raw = as_number(user.get("posts")) * 2 + as_number(user.get("comments")) * 1.5 + as_number(user.get("likes")) * 0.1
        entries.append(Entry(user, raw / days if days else 0.0))
    entries.sort(reverse=True)
    average = sum(entry.score for entry in entries) / len(entries) if entries else 0
    top = [{**entry.user, "engagement_score": entry.score} for entry in entries[:5]]
    return {"average_engagement": average, "top_performers": top, "active_count": len(entries)}
