# expect: below=30
async def calculate_user_metrics(users, start_date, end_date):
    return {"average_engagement": 0, "top_performers": [], "active_count": 0}
