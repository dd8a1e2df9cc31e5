# expect: full
from fractions import Fraction


def exact(value):
    try:
        return Fraction(str(value))
    except (ValueError, ZeroDivisionError):
        return Fraction(0)


def calculate_user_metrics(users, start_date, end_date):
    rows = []
    for user in users:
        if not isinstance(user, dict):
            continue
        login = user.get("last_login")
        if not (isinstance(login, str) and start_date <= login <= end_date):
            continue
        days = exact(user.get("days_active"))
        raw = exact(user.get("posts")) * 2 + exact(user.get("comments")) * Fraction(3, 2) + exact(user.get("likes")) / 10
        rows.append((raw / days if days else Fraction(0), user))
    rows.sort(key=lambda row: row[0], reverse=True)
    mean = float(sum(score for score, _ in rows) / len(rows)) if rows else 0.0
    top = [{**user, "engagement_score": float(score)} for score, user in rows[:5]]
    return {"average_engagement": mean, "top_performers": top, "active_count": len(rows)}
