"""Grading: fair, restartable, and never in the way of storing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

import pytest

from grader import SandboxFailed, challenge
from grader.competition import GradingJob, GradingQueue, Store
from tests.grader.competition.samples import CODE, generation, job, join, open_round, report, scored

LIMIT_S = 60


def a_job(submission_id: int, participant_id: int) -> GradingJob:
    return GradingJob(submission_id, participant_id, 1, CODE, "user_metrics", 5, None)


class ByHand(Executor):
    """An executor whose jobs end when the test says so."""

    def __init__(self) -> None:
        self.started: list[tuple[str, Future[Any]]] = []

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.started.append((args[0], future))
        return future

    def finish_first(self) -> str:
        name, future = self.started.pop(0)
        future.set_result((report(1), 0.0))
        return name


def named(submission_id: int, participant_id: int, name: str) -> GradingJob:
    return GradingJob(submission_id, participant_id, 1, name, "user_metrics", 5, None)


@pytest.fixture
def pool() -> Iterator[Executor]:
    with ThreadPoolExecutor(2) as made:
        yield made


def test_a_flood_of_one_does_not_delay_the_others(store: Store) -> None:
    executor = ByHand()
    queue = GradingQueue(store, executor, slots=1)
    queue.take([named(number, 1, f"flood {number}") for number in range(50)])
    queue.take([named(100 + who, who, f"single {who}") for who in (2, 3, 4)])
    order = [executor.finish_first() for _ in range(8)]
    assert order == [
        "flood 0",
        "single 2",
        "single 3",
        "single 4",
        "flood 1",
        "flood 2",
        "flood 3",
        "flood 4",
    ]


def test_one_participant_never_has_two_graded_at_once(store: Store) -> None:
    executor = ByHand()
    queue = GradingQueue(store, executor, slots=4)
    queue.take([named(number, 1, f"flood {number}") for number in range(5)])
    assert [name for name, _ in executor.started] == ["flood 0"]
    queue.take([named(9, 2, "single")])
    assert [name for name, _ in executor.started] == ["flood 0", "single"]


def test_a_submission_is_queued_once(store: Store) -> None:
    queue = GradingQueue(store, ByHand(), slots=1)
    assert queue.take([a_job(1, 1), a_job(1, 1), a_job(2, 1)]) == 2
    assert queue.take([a_job(2, 1)]) == 0
    assert (queue.ahead_of(1), queue.ahead_of(2), queue.ahead_of(3)) == (0, 0, None)


def test_waiting_submissions_are_graded_with_the_rounds_seed(store: Store, pool: Executor) -> None:
    made = open_round(store, seed=99)
    ada = join(store, made, "Ada")
    stored = store.submissions.add(ada.id, generation("a1", code=challenge("user_metrics").baseline))
    queue = GradingQueue(store, pool)
    assert queue.pick_up(made.id) == 1
    assert queue.wait(LIMIT_S)
    found = store.submissions.provenance(stored.id).report
    assert found is not None
    assert (found["seed"], found["challenge"], found["max_score"]) == (99, "user_metrics", 120)
    assert 0 < found["score"] < 120  # the faulty first attempt
    assert queue.pick_up(made.id) == 0


def test_a_regrade_supersedes_every_grade(store: Store, pool: Executor) -> None:
    made = open_round(store)
    for name in ("Ada", "Bob"):
        scored(store, join(store, made, name), f"{name}1", 100)
    queue = GradingQueue(store, pool, grade=lambda code, challenge, seed: (report(40), 0.1))
    assert queue.regrade(made.id) == 2
    assert queue.wait(LIMIT_S)
    assert [row.value for row in store.boards.board(made.id)] == [40, 40]


def test_a_failure_of_the_grader_leaves_it_waiting_and_says_so(store: Store, pool: Executor) -> None:
    made = open_round(store)
    stored = store.submissions.add(join(store, made, "Ada").id, generation("a1"))

    def broken(code: str, challenge: str, seed: int) -> tuple[dict[str, Any], float]:
        raise SandboxFailed("the sandbox could not start a process")

    queue = GradingQueue(store, pool, grade=broken)
    queue.pick_up()
    assert queue.wait(LIMIT_S)
    assert queue.problem(stored.id) == "the sandbox could not start a process"
    assert len(store.submissions.waiting()) == 1
    repaired = GradingQueue(store, pool)
    repaired.pick_up()
    assert repaired.wait(LIMIT_S)
    assert store.submissions.waiting() == []


def test_an_executor_that_was_shut_down_loses_nothing(store: Store) -> None:
    stored = store.submissions.add(join(store, open_round(store), "Ada").id, generation("a1"))
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    queue = GradingQueue(store, pool)
    queue.pick_up()
    assert "grading has stopped" in str(queue.problem(stored.id))
    assert queue.n_queued == 0


class AtOnce(Executor):
    """An executor whose jobs have failed before `submit` returns."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_exception(SandboxFailed("no process"))
        return future


def gone() -> Executor:
    """An executor that was shut down."""
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    return pool


@pytest.mark.parametrize("executor", [gone(), AtOnce()], ids=["gone", "at once"])
def test_a_long_line_never_nests_calls(store: Store, executor: Executor) -> None:
    queue = GradingQueue(store, executor, slots=1)
    assert queue.take([a_job(number, number) for number in range(3_000)]) == 3_000
    assert queue.n_queued == 0
    assert queue.problem(2_999) is not None


def test_storing_goes_on_while_grading_is_stuck(store: Store) -> None:
    executor = ByHand()
    made = open_round(store)
    ada, bob = join(store, made, "Ada"), join(store, made, "Bob")
    store.submissions.add(ada.id, generation("a1"))
    GradingQueue(store, executor, slots=1).pick_up()
    assert store.submissions.add(bob.id, generation("b1")).participant_id == bob.id
    assert job(store, store.submissions.of_participant(bob.id)[0]).supersedes_id is None


def test_many_people_submitting_at_once_lose_and_double_nothing(store: Store) -> None:
    made = open_round(store)
    people = [join(store, made, f"Person {number:02}") for number in range(12)]
    acknowledged: list[int] = []

    def submit(who_number: int) -> None:
        who = people[who_number]
        keys = ("k1", "k2", "k1", "k3")  # one is sent twice
        acknowledged.extend([store.submissions.add(who.id, generation(key)).id for key in keys])

    threads = [threading.Thread(target=submit, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_S)
    stored = [each.id for each in store.submissions.of_round(made.id)]
    assert len(acknowledged) == 48
    assert sorted(set(acknowledged)) == sorted(stored)
    assert len(stored) == 36
