# expect: below=30
def calculate_user_metrics(users, start_date, end_date):
    top = [{**u, "engagement_score": 0} for u in users if isinstance(u, dict)][:5]
    return {"average_engagement": 0, "top_performers": top, "active_count": len(top)}
