"""Time is the server's: what counts is when something was handed in, not when its turn came."""

from __future__ import annotations

import threading

import pytest

from grader.competition import NotOpen, Store, TooSoon
from tests.grader.competition.conftest import Clock
from tests.grader.competition.samples import generation, join, open_round, scored

LIMIT_S = 30


def test_what_was_handed_in_before_the_end_is_taken_though_it_waits(store: Store, clock: Clock) -> None:
    """The participant's row is locked while the round closes, as by another submission that takes long."""
    made = open_round(store)
    ada = join(store, made, "Ada")
    store.rounds.extend(made.id, 10)
    clock.wait(9)
    results: list[object] = []

    def submit() -> None:
        try:
            results.append(store.submissions.add(ada.id, generation("k")).created_ms)
        except NotOpen as exc:
            results.append(str(exc))

    handed_in = clock()
    with store.database.writing() as connection:
        connection.exec_driver_sql(f"UPDATE participants SET number = number WHERE id = {ada.id}")
        thread = threading.Thread(target=submit)
        thread.start()
        thread.join(0.3)
        assert results == []  # it waits
        clock.wait(5)
    thread.join(LIMIT_S)
    assert results == [handed_in]


def test_what_comes_too_late_is_told_by_how_much(store: Store, clock: Clock) -> None:
    made = open_round(store)
    ada = join(store, made, "Ada")
    store.rounds.extend(made.id, 10)
    clock.wait(12.5)
    with pytest.raises(NotOpen, match=r"came 2\.5 s after its end"):
        store.submissions.add(ada.id, generation("k"))


def test_a_clock_that_was_set_back_an_hour_holds_nobody_up(store: Store, clock: Clock) -> None:
    """Pauses, rates and leases count from moments that are in the future now."""
    made = open_round(store, cooldown_s=60)
    ada = join(store, made, "Ada")
    scored(store, ada, "k0", 50)
    clock.wait(-3_600)
    store.rounds.open(made.id)
    for number in range(1, 4):
        store.submissions.add(ada.id, generation(f"k{number}"))
        with pytest.raises(TooSoon):
            store.submissions.add(ada.id, generation("early"))
        clock.wait(61)
    store.rounds.close(made.id)
    final = store.finals.start(made.id, 1)
    assert store.finals.take_lease(final.id, "gone", 30) == "running"
    clock.wait(-3_600)
    assert store.finals.take_lease(final.id, "next", 30) == "running"
