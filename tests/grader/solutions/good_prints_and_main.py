# expect: full
import sys


def calculate_user_metrics(users, start_date, end_date):
    """Summarise engagement.

    >>> calculate_user_metrics([], "2024-01-01", "2024-12-31")["active_count"]
    0
    """
    print(f"users: {len(users)}", file=sys.stderr)
    active = []
    for user in users:
        if not isinstance(user, dict):
            print("skipping", repr(user))
            continue
        login = user.get("last_login")
        if isinstance(login, str) and start_date <= login <= end_date:
            numbers = {}
            for key in ["posts", "comments", "likes", "days_active"]:
                try:
                    numbers[key] = float(user.get(key, 0))
                except (ValueError, TypeError):
                    numbers[key] = 0.0
            if numbers["days_active"] > 0:
                score = (
                    numbers["posts"] * 2 + numbers["comments"] * 1.5 + numbers["likes"] * 0.1
                ) / numbers["days_active"]
            else:
                score = 0.0
            active.append(dict(**user, engagement_score=score))
    sys.stdout.write("done\n")
    active.sort(key=lambda u: u["engagement_score"], reverse=True)
    return dict(
        average_engagement=sum(u["engagement_score"] for u in active) / max(len(active), 1),
        top_performers=active[:5],
        active_count=len(active),
    )


if __name__ == "__main__":
    sample = [{"last_login": "2024-01-05", "posts": 1, "comments": 2, "likes": 3, "days_active": 1}]
    print(calculate_user_metrics(sample, "2024-01-01", "2024-01-31"))
