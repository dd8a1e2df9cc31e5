# expect: full
import statistics
from operator import itemgetter


def calculate_user_metrics(users, start_date, end_date):
    active = []
    for user in users:
        try:
            if not start_date <= user["last_login"] <= end_date:
                continue
            days = float(user["days_active"])
            score = (float(user["posts"]) * 2 + float(user["comments"]) * 1.5 + float(user["likes"]) * 0.1) / days
        except ZeroDivisionError:
            score = 0.0
        except (KeyError, TypeError, ValueError):
            continue
        active.append({**user, "engagement_score": score})
    average = statistics.mean(u["engagement_score"] for u in active) if active else 0
    top = sorted(active, key=itemgetter("engagement_score"), reverse=True)[:5]
    return {"average_engagement": average, "top_performers": top, "active_count": len(active)}
