# expect: exactly=0
def user_metrics(users, start_date, end_date):
    return {}
