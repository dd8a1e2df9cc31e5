# expect: full
import doctest
import io
import traceback
import unittest
from types import SimpleNamespace


class Stats:
    def __init__(self, score=0.0):
        self.score = score

    def __eq__(self, other):
        return isinstance(other, self.__class__) and self.__dict__ == other.__dict__

    def __repr__(self):
        return f"{self.__class__.__name__}({self.score})"


def number(value):
    try:
        return float(value)
    except Exception:
        traceback.print_exc()
        return 0.0


def calculate_user_metrics(users, start_date, end_date, limit=5, *, verbose=False):
    out = io.StringIO()
    state = SimpleNamespace(total=0.0, rows=[])
    for user in users:
        try:
            login = user.get("last_login")
            if not isinstance(login, str) or not start_date <= login <= end_date:
                continue
        except AttributeError as exc:
            print(exc.__class__.__name__, type(exc).__name__, exc, file=out)
            continue
        days = number(user.get("days_active"))
        stats = Stats((number(user.get("posts")) * 2 + number(user.get("comments")) * 1.5 + number(user.get("likes")) * 0.1) / days if days else 0.0)
        assert stats == Stats(stats.score)
        state.total += stats.score
        state.rows.append({**user, "engagement_score": stats.score})
    state.rows.sort(key=lambda row: row["engagement_score"], reverse=True)
    count = len(state.rows)
    return {"average_engagement": state.total / count if count else 0, "top_performers": state.rows[:limit], "active_count": count}


class TestMetrics(unittest.TestCase):
    def test_empty(self):
        self.assertEqual(calculate_user_metrics([], "a", "b")["active_count"], 0)


if __name__ == "__main__":
    doctest.testmod()
    unittest.main()
