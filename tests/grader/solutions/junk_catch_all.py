# expect: below=30
def calculate_user_metrics(users, start_date, end_date):
    try:
        raise ValueError
    except Exception:
        return {"average_engagement": 0, "top_performers": [], "active_count": 0}
