"""Leaderboards: who leads, who is last, who improved most, who needs the fewest tokens; and ties."""

from __future__ import annotations

import pytest

from grader.competition import Round, Store
from tests.grader.competition.conftest import Clock
from tests.grader.competition.samples import job, join, open_round, report, scored


@pytest.fixture
def morning(store: Store) -> Round:
    """An open round."""
    return open_round(store)


def names(store: Store, morning: Round, kind: str, **options: int) -> list[str]:
    return [row.nickname for row in store.boards.board(morning.id, kind, **options)]  # type: ignore[arg-type]


def test_the_best_submission_of_each_counts(store: Store, morning: Round, clock: Clock) -> None:
    ada, bob = join(store, morning, "Ada"), join(store, morning, "Bob")
    for who, key, score in ((ada, "a1", 90), (bob, "b1", 80), (ada, "a2", 20), (bob, "b2", 95)):
        scored(store, who, key, score)
        clock.wait(20)
    rows = store.boards.board(morning.id)
    assert [(row.place, row.nickname, row.value, row.n_submissions) for row in rows] == [
        (1, "Bob", 95, 2),
        (2, "Ada", 90, 2),
    ]


def test_ties_go_to_the_earlier_then_to_fewer_tokens(store: Store, morning: Round, clock: Clock) -> None:
    wordy, terse, early = (join(store, morning, name) for name in ("Wordy", "Terse", "Early"))
    scored(store, early, "e", 50, tokens=900)
    clock.wait(1)
    scored(store, wordy, "w", 50, tokens=500)
    scored(store, terse, "t", 50, tokens=30)
    assert names(store, morning, "best") == ["Early", "Terse", "Wordy"]


def test_an_equal_later_score_does_not_move_anybody_down(store: Store, morning: Round, clock: Clock) -> None:
    ada, bob = join(store, morning, "Ada"), join(store, morning, "Bob")
    for who, key in ((ada, "a1"), (bob, "b1"), (ada, "a2")):
        scored(store, who, key, 70)
        clock.wait(20)
    assert names(store, morning, "best") == ["Ada", "Bob"]


def test_the_lowest_score_leads_its_own_board(store: Store, morning: Round) -> None:
    ada, bob = join(store, morning, "Ada"), join(store, morning, "Bob")
    for who, key, score in ((ada, "a1", 90), (ada, "a2", 3), (bob, "b1", 40)):
        scored(store, who, key, score)
    assert [(row.nickname, row.value) for row in store.boards.board(morning.id, "lowest")] == [
        ("Ada", 3),
        ("Bob", 40),
    ]


def test_improvement_is_from_the_first_to_the_best(store: Store, morning: Round, clock: Clock) -> None:
    ada, bob, eve = (join(store, morning, name) for name in ("Ada", "Bob", "Eve"))
    for who, key, score in (
        (ada, "a1", 10),
        (ada, "a2", 60),
        (ada, "a3", 30),
        (bob, "b1", 80),
        (bob, "b2", 100),
        (eve, "e1", 99),
        (eve, "e2", 1),
    ):
        scored(store, who, key, score)
        clock.wait(20)
    rows = store.boards.board(morning.id, "improved")
    assert [(row.nickname, row.value, row.score) for row in rows] == [("Ada", 50, 60), ("Bob", 20, 100)]


def test_thrift_is_points_per_thousand_tokens(store: Store, morning: Round) -> None:
    ada, bob, eve = (join(store, morning, name) for name in ("Ada", "Bob", "Eve"))
    scored(store, ada, "a1", 100, tokens=2_000)
    scored(store, bob, "b1", 60, tokens=500)
    scored(store, eve, "e1", 60, tokens=0)  # a provider that counts nothing
    rows = store.boards.board(morning.id, "thrifty")
    assert [(row.nickname, row.value) for row in rows] == [("Bob", 120), ("Ada", 50)]


def test_a_regrade_supersedes_and_the_old_grade_stays(store: Store, morning: Round) -> None:
    ada, bob = join(store, morning, "Ada"), join(store, morning, "Bob")
    mistaken = scored(store, ada, "a1", 100)
    scored(store, bob, "b1", 50)
    assert store.submissions.add_grade(job(store, mistaken), report(40), 0.1)
    assert names(store, morning, "best") == ["Bob", "Ada"]
    with store.database.reading() as connection:
        scores = connection.exec_driver_sql("SELECT score FROM grades ORDER BY id").scalars().all()
    assert list(scores) == [100, 50, 40]


def test_two_regrades_at_once_leave_one_current_grade(store: Store, morning: Round) -> None:
    stored = scored(store, join(store, morning, "Ada"), "a1", 100)
    stale = job(store, stored)
    assert store.submissions.add_grade(stale, report(40), 0.1)
    assert not store.submissions.add_grade(stale, report(30), 0.1)
    assert [row.value for row in store.boards.board(morning.id)] == [40]


def test_the_disqualified_are_on_no_board(store: Store, morning: Round) -> None:
    ada, bob = join(store, morning, "Ada"), join(store, morning, "Bob")
    scored(store, ada, "a1", 100)
    scored(store, bob, "b1", 10)
    store.participants.disqualify(ada.id, "Pasted by hand")
    assert names(store, morning, "best") == names(store, morning, "lowest") == ["Bob"]
    store.participants.reinstate(ada.id)
    assert names(store, morning, "best") == ["Ada", "Bob"]


def test_a_frozen_board_ends_where_it_was_frozen(store: Store, morning: Round, clock: Clock) -> None:
    ada, bob = join(store, morning, "Ada"), join(store, morning, "Bob")
    scored(store, ada, "a1", 50)
    clock.wait(1)
    frozen = store.rounds.freeze(morning.id)
    clock.wait(1)
    scored(store, bob, "b1", 90)
    assert frozen.frozen_ms is not None
    assert names(store, morning, "best", until_ms=frozen.frozen_ms) == ["Ada"]
    assert names(store, morning, "best") == ["Bob", "Ada"]


def test_a_board_has_only_its_own_round(store: Store, morning: Round) -> None:
    other = open_round(store, title="Afternoon")
    scored(store, join(store, morning, "Ada"), "a1", 50)
    scored(store, join(store, other, "Ada"), "a1", 60)
    assert [row.value for row in store.boards.board(other.id)] == [60]
