# expect: full
class MetricsCalculator:
    """Collects the active users and summarises them."""

    TOP = 5
    _weights = {"posts": 2.0, "comments": 1.5, "likes": 0.1}

    def __init__(self, start, end):
        self._start = start
        self._end = end
        self._active = []

    def __len__(self):
        return len(self._active)

    @staticmethod
    def _number(value):
        try:
            return float(value)
        except (TypeError, ValueError):
            return 0.0

    @property
    def average(self):
        return sum(u["engagement_score"] for u in self._active) / len(self) if self._active else 0.0

    def _is_active(self, user):
        login = user.get("last_login")
        return isinstance(login, str) and self._start <= login <= self._end

    def add(self, user):
        if not isinstance(user, dict) or not self._is_active(user):
            return
        days = self._number(user.get("days_active"))
        raw = sum(self._number(user.get(key)) * weight for key, weight in self._weights.items())
        self._active.append({**user, "engagement_score": raw / days if days else 0.0})

    def summary(self):
        ranked = sorted(self._active, key=lambda u: u["engagement_score"], reverse=True)
        return {"average_engagement": self.average, "top_performers": ranked[: self.TOP], "active_count": len(self)}


def calculate_user_metrics(users, start_date, end_date):
    calculator = MetricsCalculator(start_date, end_date)
    for user in users:
        calculator.add(user)
    return calculator.summary()
