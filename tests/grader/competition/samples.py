"""Rounds, people and generations to test with; what they score is set by hand."""

from __future__ import annotations

import json
from typing import Any

from grader import Report
from grader.competition import Generation, GradingJob, Participant, Round, Store, Submission

CODE = "def calculate_user_metrics(users, start_date, end_date):\n    return {}\n"


def open_round(store: Store, **rules: Any) -> Round:
    """A round that is open."""
    made = store.rounds.create(rules.pop("title", "Morning"), "user_metrics", **rules)
    return store.rounds.open(made.id)


def join(store: Store, made: Round, nickname: str) -> Participant:
    return store.participants.join(made.id, nickname)[0]


def generation(key: str, **values: Any) -> Generation:
    """A generation like the app makes them."""
    given: dict[str, Any] = {
        "config": json.dumps({"agents": [key]}),
        "messages": [{"role": "user", "content": "Write it."}],
        "seed": 7,
        "backend": "wafer",
        "models": ("smollm2-135m",),
        "reply": f"```python\n{CODE}```",
        "code": CODE,
        "tokens": 100,
        "duration_s": 1.5,
    }
    return Generation(attempt_key=key, **{**given, **values})


def report(score: float) -> dict[str, Any]:
    """A report of the grader's shape; what it says in detail does not matter here."""
    whole = Report("user_metrics", 5, ()).to_dict()
    return {**whole, "score": score, "max_score": 120.0, "percentage": round(100 * score / 120, 1)}


def job(store: Store, submission: Submission) -> GradingJob:
    waiting = store.submissions.waiting(submission.round_id, again=True)
    return next(each for each in waiting if each.submission_id == submission.id)


def scored(store: Store, who: Participant, key: str, score: float, tokens: int = 100) -> Submission:
    """Submit a generation and give it a score."""
    stored = store.submissions.add(who.id, generation(key, tokens=tokens))
    assert store.submissions.add_grade(job(store, stored), report(score), 0.1)
    return stored
