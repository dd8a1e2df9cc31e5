# expect: full
import os
import sys
from typing import Dict, List, Any
import json, re, math, collections, itertools
try:
    import numpy as np
except ImportError:
    np = None


def calculate_user_metrics(users: List[Dict[str, Any]], start_date: str, end_date: str) -> Dict[str, Any]:
    active_users: List[Dict[str, Any]] = []
    for user in users:
        if not isinstance(user, dict):
            continue
        login: Any = user.get("last_login")
        if not isinstance(login, str) or login == "" or not (start_date <= login <= end_date):
            continue

        def num(key: str) -> float:
            try:
                return float(user.get(key, 0) or 0)
            except (TypeError, ValueError):
                return 0.0

        days: float = num("days_active")
        score: float = (num("posts") * 2 + num("comments") * 1.5 + num("likes") * 0.1) / days if days > 0 else 0.0
        active_users.append({**user, "engagement_score": score})
    scores = [u["engagement_score"] for u in active_users]
    if np is not None:
        average = float(np.mean(scores)) if scores else 0.0
    else:
        average = sum(scores) / len(scores) if scores else 0.0
    top = sorted(active_users, key=lambda u: u["engagement_score"], reverse=True)[:5]
    return {"average_engagement": average, "top_performers": top, "active_count": len(active_users)}
