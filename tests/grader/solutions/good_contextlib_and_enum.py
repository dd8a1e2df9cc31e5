# expect: full
from contextlib import suppress
from enum import Enum


class Weight(Enum):
    POSTS = ("posts", 2.0)
    COMMENTS = ("comments", 1.5)
    LIKES = ("likes", 0.1)

    @property
    def key(self):
        return self.value[0]

    @property
    def factor(self):
        return self.value[1]


def number(value):
    with suppress(TypeError, ValueError):
        return float(value)
    return 0.0


def calculate_user_metrics(users, start_date, end_date):
    active = []
    for user in users:
        with suppress(AttributeError, TypeError):
            if start_date <= user.get("last_login") <= end_date:
                days = number(user.get("days_active"))
                raw = sum(weight.factor * number(user.get(weight.key)) for weight in Weight)
                active.append({**user, "engagement_score": raw / days if days else 0.0})
    active.sort(key=lambda user: user["engagement_score"], reverse=True)
    total = sum(user["engagement_score"] for user in active)
    return {
        "average_engagement": total / len(active) if active else 0.0,
        "top_performers": active[:5],
        "active_count": len(active),
    }
