"""Rounds and their rules: when they are open, how often one may submit, what is too large."""

from __future__ import annotations

import json

import pytest
from sqlalchemy.exc import IntegrityError

from grader import UnknownChallenge
from grader.competition import (
    Disqualified,
    Limits,
    NotASubmission,
    NotFound,
    NotOpen,
    Refused,
    RoundFull,
    Store,
    StoreError,
    TooLarge,
    TooMany,
    TooSoon,
)
from tests.grader.competition.conftest import Clock
from tests.grader.competition.samples import generation, join, open_round, scored


def test_a_round_waits_opens_and_closes_by_the_clock(store: Store, clock: Clock) -> None:
    made = store.rounds.create(
        "Morning", "user_metrics", opens_ms=clock() + 10_000, closes_ms=clock() + 20_000
    )
    states = []
    for _ in range(3):
        states.append(made.state(clock()))
        clock.wait(10)
    assert states == ["waiting", "open", "closed"]


def test_the_host_opens_extends_and_closes(store: Store, clock: Clock) -> None:
    made = store.rounds.create("Morning", "user_metrics")
    assert made.state(clock()) == "draft"
    assert store.rounds.open(made.id).state(clock()) == "open"
    assert store.rounds.extend(made.id, 300).closes_ms == clock() + 300_000
    assert store.rounds.extend(made.id, 60).closes_ms == clock() + 360_000
    assert store.rounds.close(made.id).state(clock()) == "closed"
    assert store.rounds.open(made.id).state(clock()) == "open"


@pytest.mark.parametrize(
    "rules",
    [
        {"title": " "},
        {"title": "x" * 81},
        {"opens_ms": 2, "closes_ms": 1},
        {"submission_limit": 0},
        {"cooldown_s": -1},
        {"visibility": "some"},
        {"seed": -1},
    ],
    ids=lambda rules: next(iter(rules)),
)
def test_values_that_make_no_round_are_refused(store: Store, rules: dict[str, object]) -> None:
    with pytest.raises(Refused):
        store.rounds.create(**{"title": "Morning", "challenge": "user_metrics", **rules})  # type: ignore[arg-type]
    assert store.rounds.all() == []


def test_a_round_is_about_a_challenge_that_exists(store: Store) -> None:
    with pytest.raises(UnknownChallenge):
        store.rounds.create("Morning", "no_such_challenge")


def test_two_rounds_draw_different_cases(store: Store) -> None:
    assert open_round(store).seed != open_round(store).seed


def test_nothing_is_submitted_before_or_after(store: Store, clock: Clock) -> None:
    made = store.rounds.create("Morning", "user_metrics")
    ada = join(store, made, "Ada")
    with pytest.raises(NotOpen, match="has not begun"):
        store.submissions.add(ada.id, generation("a1"))
    store.rounds.open(made.id)
    store.rounds.extend(made.id, 10)
    clock.wait(11)
    with pytest.raises(NotOpen, match="is over"):
        store.submissions.add(ada.id, generation("a1"))
    with pytest.raises(NotOpen):
        join(store, made, "Late")


def test_an_attempt_is_stored_once_however_often_it_is_sent(store: Store, clock: Clock) -> None:
    made = open_round(store, submission_limit=1, cooldown_s=60)
    ada = join(store, made, "Ada")
    first = scored(store, ada, "a1", 50)
    store.rounds.close(made.id)
    again = store.submissions.add(ada.id, generation("a1"))
    assert (again.id, again.score) == (first.id, 50)
    assert len(store.submissions.of_round(made.id)) == 1


def test_the_submission_limit_is_per_participant(store: Store) -> None:
    made = open_round(store, submission_limit=2)
    ada, bob = join(store, made, "Ada"), join(store, made, "Bob")
    for key in ("a1", "a2"):
        store.submissions.add(ada.id, generation(key))
    with pytest.raises(TooMany, match="all 2 submissions"):
        store.submissions.add(ada.id, generation("a3"))
    assert store.submissions.add(bob.id, generation("b1")).participant_id == bob.id


def test_the_cooldown_says_how_long_it_lasts(store: Store, clock: Clock) -> None:
    ada = join(store, open_round(store, cooldown_s=30), "Ada")
    store.submissions.add(ada.id, generation("a1"))
    clock.wait(10)
    with pytest.raises(TooSoon, match="send it again in 20 s") as caught:
        store.submissions.add(ada.id, generation("a2"))
    clock.wait(caught.value.wait_s)
    assert store.submissions.add(ada.id, generation("a2")).id == 2


def test_a_flood_of_one_participant_is_slowed_down(store: Store, clock: Clock) -> None:
    made = open_round(store)
    ada, bob = join(store, made, "Ada"), join(store, made, "Bob")
    for number in range(6):
        store.submissions.add(ada.id, generation(f"a{number}"))
        clock.wait(1)
    with pytest.raises(TooSoon, match="at most 6 submissions a minute; send it again in 54 s"):
        store.submissions.add(ada.id, generation("a7"))
    assert store.submissions.add(bob.id, generation("b1")).participant_id == bob.id
    clock.wait(54)
    assert store.submissions.add(ada.id, generation("a7")).participant_id == ada.id


def test_a_round_takes_so_many_a_minute(store: Store, clock: Clock) -> None:
    limits = Limits(submissions_per_round_per_minute=3, joins_per_round_per_minute=2)
    strict = Store(store.database, limits, clock)
    made = open_round(strict)
    people = [join(strict, made, name) for name in ("Ada", "Bob")]
    with pytest.raises(RoundFull, match="very many people"):
        join(strict, made, "Eve")
    for number in range(3):
        strict.submissions.add(people[number % 2].id, generation(f"k{number}"))
    with pytest.raises(TooSoon, match="the whole class"):
        strict.submissions.add(people[0].id, generation("k9"))


def test_a_round_takes_so_many_people(store: Store, clock: Clock) -> None:
    small = Store(store.database, Limits(participants_per_round=1), clock)
    made = open_round(small)
    join(small, made, "Ada")
    with pytest.raises(RoundFull, match=r"it has 1 participant$"):
        join(small, made, "Bob")


@pytest.mark.parametrize(
    ("values", "part"),
    [
        ({"config": json.dumps({"prompt": "x" * 200_000})}, "configuration"),
        ({"config": json.dumps({"prompt": "ä" * 100_000}, ensure_ascii=False)}, "configuration"),
        ({"messages": [{"role": "user", "content": "x" * 400_000}]}, "prompt"),
        ({"reply": "x" * 1_000_001}, "reply"),
        ({"code": "x" * 400_001}, "code"),
    ],
    ids=["config", "config in bytes", "messages", "reply", "code"],
)
def test_what_is_too_large_is_refused(store: Store, values: dict[str, object], part: str) -> None:
    ada = join(store, open_round(store), "Ada")
    with pytest.raises(TooLarge) as caught:
        store.submissions.add(ada.id, generation("a1", **values))
    assert caught.value.part == part
    assert caught.value.size_bytes > caught.value.limit_bytes


def test_a_configuration_of_200_kb_is_stored(store: Store) -> None:
    ada = join(store, open_round(store), "Ada")
    config = json.dumps({"prompt": "x" * 199_986})
    assert len(config) == 200_000
    stored = store.submissions.add(ada.id, generation("a1", config=config))
    assert store.submissions.provenance(stored.id).config == config


@pytest.mark.parametrize(
    "values",
    [
        {"config": "{"},
        {"config": "[]"},
        {"config": "[" * 100_000},
        {"code": " \n"},
        {"tokens": -1},
        {"cost_usd": -0.01},
        {"cost_usd": float("nan")},
        {"seed": 2**64},
    ],
    ids=str,
)
def test_what_is_no_generation_is_refused(store: Store, values: dict[str, object]) -> None:
    ada = join(store, open_round(store), "Ada")
    with pytest.raises(NotASubmission):
        store.submissions.add(ada.id, generation("a1", **values))


def test_texts_that_no_database_keeps_are_stored_all_the_same(store: Store) -> None:
    ada = join(store, open_round(store), "Ada")
    stored = store.submissions.add(ada.id, generation("a1", reply="a\x00b\ud800c"))
    assert store.submissions.provenance(stored.id).reply == "a\ufffdb?c"


def test_the_disqualified_cannot_submit_and_are_told_why(store: Store) -> None:
    ada = join(store, open_round(store), "Ada")
    store.participants.disqualify(ada.id, "Copied\nfrom Bob")
    with pytest.raises(Disqualified, match="Copied from Bob"):
        store.submissions.add(ada.id, generation("a1"))
    with pytest.raises(Refused, match="reason"):
        store.participants.disqualify(ada.id, "  ")


def test_submissions_and_grades_cannot_be_changed(store: Store) -> None:
    made = open_round(store)
    scored(store, join(store, made, "Ada"), "a1", 50)
    for statement in ("UPDATE submissions SET code = 'x'", "UPDATE grades SET score = 120"):
        with pytest.raises((IntegrityError, StoreError)) as caught, store.database.writing() as connection:
            connection.exec_driver_sql(statement)
        assert "is append-only" in str(caught.value.__cause__)
    assert [row.value for row in store.boards.board(made.id)] == [50]


def test_a_deleted_round_takes_everything_with_it_and_no_id_comes_back(store: Store) -> None:
    made, other = open_round(store), open_round(store, title="Afternoon")
    ada = join(store, made, "Ada")
    scored(store, ada, "a1", 50)
    scored(store, join(store, other, "Bob"), "b1", 60)
    store.rounds.delete(made.id)
    with pytest.raises(NotFound):
        store.submissions.add(ada.id, generation("a2"))
    with store.database.reading() as connection:
        counts = [
            connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar()
            for table in ("rounds", "participants", "submissions", "grades")
        ]
    assert counts == [1, 1, 1, 1]
    store.rounds.delete(other.id)
    assert open_round(store).id > other.id


def test_provenance_is_kept_whole(store: Store) -> None:
    ada = join(store, open_round(store), "Ada")
    given = generation("a1", seed=2**62, models=("smollm2-135m", "qwen2.5-coder-0.5b"))
    found = store.submissions.provenance(store.submissions.add(ada.id, given).id)
    assert (found.config, list(found.messages)) == (given.config, list(given.messages))
    assert (found.seed, found.reply, found.code) == (given.seed, given.reply, given.code)
    assert (found.models, found.report) == (given.models, None)
