# expect: below=30
def calculate_user_metrics(users, start_date, end_date):
    n = len(users)
    return {"average_engagement": n * 1.0, "top_performers": [], "active_count": n}
