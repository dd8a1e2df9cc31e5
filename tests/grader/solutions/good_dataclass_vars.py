# expect: full
from dataclasses import asdict, dataclass, fields


@dataclass
class User:
    last_login: object = None
    posts: object = 0
    comments: object = 0
    likes: object = 0
    days_active: object = 0
    engagement_score: float = 0.0


def num(value):
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0


def calculate_user_metrics(users, start_date, end_date):
    names = {f.name for f in fields(User)}
    found = []
    for record in users:
        if not isinstance(record, dict):
            continue
        user = User(**{k: v for k, v in record.items() if k in names})
        if not isinstance(user.last_login, str) or not start_date <= user.last_login <= end_date:
            continue
        days = num(user.days_active)
        if days > 0:
            user.engagement_score = (num(user.posts) * 2 + num(user.comments) * 1.5 + num(user.likes) * 0.1) / days
        found.append(user)
    found.sort(key=lambda user: user.engagement_score, reverse=True)
    mean = sum(u.engagement_score for u in found) / len(found) if found else 0
    top = [asdict(u) if i % 2 else dict(vars(u)) for i, u in enumerate(found[:5])]
    return {"average_engagement": mean, "top_performers": top, "active_count": len(found)}
