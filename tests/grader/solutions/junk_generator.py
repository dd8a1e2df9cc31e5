# expect: below=30
def calculate_user_metrics(users, start_date, end_date):
    yield {"average_engagement": 0, "top_performers": [], "active_count": 0}
