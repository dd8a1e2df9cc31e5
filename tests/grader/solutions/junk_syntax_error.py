# expect: exactly=0
def calculate_user_metrics(users, start_date, end_date:
    return {}
