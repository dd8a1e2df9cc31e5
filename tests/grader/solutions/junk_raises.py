# expect: below=30
def calculate_user_metrics(users, start_date, end_date):
    raise NotImplementedError
