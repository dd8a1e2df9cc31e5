"""What a host takes away: a gradebook for a learning platform, and which submissions are alike."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest

from grader import grade
from grader.competition import Store
from grader.competition.gradebook import to_gradebook
from grader.competition.similarity import code_words, similar_pairs
from tests.grader.competition.samples import CODE, generation, job, join, open_round

ONE = """def calculate_user_metrics(users, start_date, end_date):
    active = [user for user in users if start_date <= user["last_login"] <= end_date]
    scores = [user["posts"] * 2 + user["likes"] * 0.1 for user in active]
    return {"average_engagement": sum(scores) / max(1, len(scores)), "active_count": len(active)}
"""
RENAMED = re.sub(r"\buser\b", "person", re.sub(r"\bactive\b", "chosen", ONE)) + "# mine\n"
OTHER = """import heapq

def calculate_user_metrics(users, start_date, end_date):
    total, heap = 0.0, []
    for position, entry in enumerate(users):
        heapq.heappush(heap, (entry.get("posts", 0), position))
        total += len(heap)
    return dict(average_engagement=total, top_performers=[], active_count=0)
"""


def test_the_gradebook_has_a_line_per_person_and_a_column_per_check(store: Store) -> None:
    made = open_round(store, team_size=2)
    team, code = store.participants.join(made.id, "Blue")
    store.participants.join_team(made.id, "Blue", code, "=Ada")
    join(store, made, "Nobody")
    real = grade(CODE, "user_metrics", made.seed).to_dict()
    stored = store.submissions.add(team.id, generation("k"))
    store.submissions.add_grade(job(store, stored), real, 0.1)
    lines = list(csv.DictReader(io.StringIO(to_gradebook(store, made.id))))
    assert [(line["name"], line["team"], line["score"]) for line in lines] == [
        ("Blue", "Blue", str(real["score"])),
        ("'=Ada", "Blue", str(real["score"])),
        ("Nobody", "Nobody", ""),
    ]
    by_check = {check["name"]: str(check["score"]) for check in real["checks"]}
    assert {name: lines[0][name] for name in by_check} == by_check
    assert len(by_check) == 11


@pytest.mark.parametrize(("second", "is_alike"), [(RENAMED, True), (OTHER, False)], ids=["renamed", "other"])
def test_renaming_does_not_hide_a_copy(store: Store, second: str, is_alike: bool) -> None:
    made = open_round(store)
    ada, bob = join(store, made, "Ada"), join(store, made, "Bob")
    store.submissions.add(ada.id, generation("a", code=ONE, config='{"prompt": "Think step by step."}'))
    store.submissions.add(ada.id, generation("b", code=ONE, config="{}"))  # one's own copy is none
    store.submissions.add(bob.id, generation("c", code=second, config='{"prompt": "Quite another idea"}'))
    pairs = similar_pairs(store, made.id)
    assert [(pair.first, pair.second) for pair in pairs] == ([("Ada", "Bob")] if is_alike else [])
    assert not is_alike or pairs[0].code > 0.9


def test_the_same_prompts_are_noticed_and_code_that_is_none_is_compared_as_words(store: Store) -> None:
    made = open_round(store)
    config = json.dumps(
        {"layers": [{"agents": [{"prompt": "Write it with care and test every edge case."}]}]}
    )
    for name in ("Ada", "Bob"):
        who = join(store, made, name)
        store.submissions.add(who.id, generation("k", code=f"not python {name} (((", config=config))
    (pair,) = similar_pairs(store, made.id)
    assert pair.prompts == 1
    assert code_words("not python (((") == ["not", "python", "(", "(", "("]


def test_a_gradebook_of_a_round_with_a_final_has_its_mean(store: Store) -> None:
    from tests.grader.competition.final_samples import closed_round, play

    made = closed_round(store, {"Ada": 50})
    play(store, store.finals.start(made.id, 2), points=lambda reply, seed: 33.0)
    (line,) = csv.DictReader(io.StringIO(to_gradebook(store, made.id)))
    assert (line["final_mean"], line["submissions"]) == ("33.0", "1")
