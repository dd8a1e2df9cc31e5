# expect: below=30
def calculate_user_metrics(users, start_date, end_date):
    user = {"last_login": "2024-05-10", "posts": 10, "comments": 20, "likes": 100, "days_active": 10, "engagement_score": 6.0}
    return {"average_engagement": 6.0, "top_performers": [user] * 5, "active_count": 5}
