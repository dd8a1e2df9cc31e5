# expect: full
import json


def calculate_user_metrics(users, start_date, end_date):
    rows = json.loads(json.dumps(users))
    rows = [row for row in rows if isinstance(row, dict)]
    rows = [row for row in rows if isinstance(row.get("last_login"), str)]
    rows = [row for row in rows if start_date <= row["last_login"] <= end_date]

    def number(row, key):
        try:
            return float(row.get(key, 0))
        except (TypeError, ValueError):
            return 0.0

    for row in rows:
        days = number(row, "days_active")
        raw = number(row, "posts") * 2 + number(row, "comments") * 1.5 + number(row, "likes") * 0.1
        row["engagement_score"] = raw / days if days else 0
    rows.sort(key=lambda row: row["engagement_score"], reverse=True)
    average = sum([row["engagement_score"] for row in rows]) / len(rows) if rows else 0
    return {"average_engagement": average, "top_performers": rows[:5], "active_count": len(rows)}
