# expect: full
import logging

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
logger = logging.getLogger(__name__)


def _to_float(value, name):
    try:
        return float(value)
    except (TypeError, ValueError):
        logger.warning("field %s has the value %r, using 0", name, value)
        return 0.0


def calculate_user_metrics(users, start_date, end_date):
    logger.info("calculating metrics for %d users", len(users))
    active_users = []
    for index, user in enumerate(users):
        try:
            login = user.get("last_login")
            if not login or not (start_date <= login <= end_date):
                continue
            days = _to_float(user.get("days_active"), "days_active")
            raw = sum(_to_float(user.get(k), k) * w for k, w in (("posts", 2), ("comments", 1.5), ("likes", 0.1)))
            active_users.append({**user, "engagement_score": raw / days if days > 0 else 0.0})
        except Exception:
            logger.exception("skipping user %d", index)
    total = sum(u["engagement_score"] for u in active_users)
    return {
        "average_engagement": total / len(active_users) if active_users else 0,
        "top_performers": sorted(active_users, key=lambda u: u["engagement_score"], reverse=True)[:5],
        "active_count": len(active_users),
    }
