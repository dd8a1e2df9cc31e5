"""Finals: fresh seeds, the mean ranks, nothing runs twice, and money is not spent beyond the cap."""

from __future__ import annotations

import json
import statistics
import threading

import pytest

from grader import challenge
from grader.competition import (
    FinalJob,
    NotOpen,
    Refused,
    SetupRun,
    Store,
    backup,
    mean_interval,
    restore,
)
from tests.grader.competition.conftest import Clock
from tests.grader.competition.final_samples import closed_round, play, runner, written
from tests.grader.competition.samples import generation, join, open_round, scored


def test_the_mean_over_fresh_seeds_ranks_not_the_best_draw(store: Store) -> None:
    """Lucky leads the public board with one draw; Steady has the better setup."""
    made = closed_round(store, {"Lucky": 110, "Steady": 80})
    started = store.finals.start(made.id, n_seeds=4)
    assert len(set(started.seeds)) == 4
    draws = dict(zip(started.seeds, (10.0, 20.0, 30.0, 40.0), strict=True))
    play(store, started, points=lambda reply, seed: draws[seed] if "k0" in reply else 75.0)
    lines = store.final_boards.standings(started.id)
    assert [(line.place, line.nickname, line.mean) for line in lines] == [(1, "Steady", 75), (2, "Lucky", 25)]
    assert lines[1].scores == (10, 20, 30, 40)
    assert store.finals.get(started.id).state == "done"
    assert [row.nickname for row in store.boards.board(made.id)] == ["Lucky", "Steady"]


def test_the_interval_is_students(store: Store) -> None:
    """By hand for 10, 20, 30, 40: s = 12.9099, half = 3.182 * s / 2 = 20.540."""
    low, high = mean_interval([10, 20, 30, 40], 120) or (0, 0)
    assert (low, high) == (pytest.approx(25 - 20.540, abs=1e-3), pytest.approx(25 + 20.540, abs=1e-3))
    assert mean_interval([5], 120) is None
    assert mean_interval([0, 0, 9], 120) == (
        0,
        pytest.approx(3 + 4.303 * statistics.stdev([0, 0, 9]) / 3**0.5),
    )


def test_ties_go_to_fewer_tokens_and_equal_ones_share_the_place(store: Store) -> None:
    made = closed_round(store, {"Wordy": 50, "Terse": 50, "Twin": 50})
    tokens = {"k0": 900, "k1": 30, "k2": 30}
    started = store.finals.start(made.id, n_seeds=2)
    play(store, started, run=lambda job: written(job, tokens[json.loads(job.config)["agents"][0]]))
    lines = store.final_boards.standings(started.id)
    assert [(line.place, line.nickname) for line in lines] == [(1, "Terse"), (1, "Twin"), (3, "Wordy")]


def test_the_best_runs_unless_up_to_two_are_picked(store: Store, clock: Clock) -> None:
    made = open_round(store)
    ada, bob = join(store, made, "Ada"), join(store, made, "Bob")
    mine = []
    for number, score in enumerate((10, 90, 50)):
        mine.append(scored(store, ada, f"a{number}", score).id)
        clock.wait(20)
    best = scored(store, bob, "b0", 40)
    scored(store, bob, "b1", 5)
    with pytest.raises(Refused, match="your own"):
        store.finals.pick(ada.id, [best.id])
    with pytest.raises(Refused, match="at most 2"):
        store.finals.pick(ada.id, mine)
    store.finals.pick(ada.id, [mine[0], mine[2]])
    assert store.finals.picks(ada.id) == [mine[0], mine[2]]
    store.rounds.close(made.id)
    started = store.finals.start(made.id, n_seeds=1)
    configs = {json.loads(job.config)["agents"][0] for job in store.finals.pending(started.id)}
    assert configs == {"a0", "a2", "b0"}
    play(store, started, points=lambda reply, seed: 70 if "a2" in reply else 20)
    lines = store.final_boards.standings(started.id)
    assert [(line.nickname, line.mean, line.submission_id) for line in lines] == [
        ("Ada", 70, mine[2]),
        ("Bob", 20, best.id),
    ]
    with pytest.raises(NotOpen, match="fixed"):
        store.finals.pick(ada.id, [])


def test_picks_open_again_for_the_next_final_when_one_was_cancelled(store: Store) -> None:
    made = open_round(store)
    ada = join(store, made, "Ada")
    worse = scored(store, ada, "a0", 10).id
    store.rounds.close(made.id)
    first = store.finals.start(made.id, n_seeds=1)
    store.finals.cancel(first.id)
    store.finals.pick(ada.id, [worse])
    second = store.finals.start(made.id, n_seeds=1)
    with pytest.raises(NotOpen, match="fixed"):
        store.finals.pick(ada.id, [])
    store.finals.cancel(first.id)  # an older one says nothing about the newest
    with pytest.raises(NotOpen, match="fixed"):
        store.finals.pick(ada.id, [])
    play(store, second)
    with pytest.raises(NotOpen, match="fixed"):
        store.finals.pick(ada.id, [])


def test_a_final_waits_for_the_end_and_for_somebody(store: Store) -> None:
    made = open_round(store)
    with pytest.raises(NotOpen, match="when the round is closed"):
        store.finals.start(made.id)
    store.rounds.close(made.id)
    with pytest.raises(Refused, match="nothing to run"):
        store.finals.start(made.id)


@pytest.mark.parametrize(
    "values",
    [{"n_seeds": 0}, {"n_seeds": 21}, {"prompt_price": -1}, {"cost_cap": 1}],
    ids=["no seed", "too many", "a negative price", "a cap without a price"],
)
def test_values_that_make_no_final_are_refused(store: Store, values: dict[str, int]) -> None:
    made = closed_round(store, {"Ada": 50})
    with pytest.raises(Refused):
        store.finals.start(made.id, **values)  # type: ignore[arg-type]


def test_two_finals_of_a_round_never_run_at_once(store: Store) -> None:
    made = closed_round(store, {"Ada": 50})
    first = store.finals.start(made.id)
    with pytest.raises(Refused, match="cancel it first"):
        store.finals.start(made.id)
    store.finals.cancel(first.id)
    assert store.finals.start(made.id).id == store.finals.of_round(made.id)[0].id


def test_cancelling_keeps_what_was_run_and_going_on_runs_the_rest(store: Store) -> None:
    made = closed_round(store, {"Ada": 50, "Bob": 40})
    started = store.finals.start(made.id, n_seeds=5)
    seen: list[tuple[int, int]] = []

    def run(job: FinalJob) -> SetupRun:
        seen.append((job.entry_id, job.number))
        if len(seen) == 3:
            store.finals.cancel(started.id)
            threading.Event().wait(0.5)  # until the runner has looked
        return written(job)

    play(store, started, run=run, slots=1)
    assert store.finals.get(started.id).state == "cancelled"
    assert store.finals.progress(started.id).n_done in (2, 3)
    store.finals.resume(started.id)
    play(store, started)
    assert store.finals.progress(started.id).n_done == 10
    assert [line.scores for line in store.final_boards.standings(started.id)] == [(50,) * 5] * 2


def test_what_fails_is_tried_again_then_counts_nothing_until_the_host_retries(store: Store) -> None:
    made = closed_round(store, {"Ada": 50})
    started = store.finals.start(made.id, n_seeds=2)
    tries: list[int] = []

    def broken(job: FinalJob) -> SetupRun:
        tries.append(job.number)
        if job.number == 0:
            return SetupRun("", 0, 0, 0.0, "the provider did not answer")
        raise KeyError("a bug")

    play(store, started, run=broken, points=lambda reply, seed: 0.0)
    assert sorted(tries) == [0, 0, 0, 1, 1, 1]
    assert store.finals.progress(started.id).n_failed == 2
    assert [(line.mean, line.n_failed) for line in store.final_boards.standings(started.id)] == [(0, 2)]
    store.finals.retry_failed(started.id)
    play(store, started)
    assert [line.mean for line in store.final_boards.standings(started.id)] == [50]


def test_the_estimate_is_what_the_submissions_took(store: Store) -> None:
    made = open_round(store)
    store_one(store, join(store, made, "Ada").id, prompt_tokens=2_000, tokens=500)
    store_one(store, join(store, made, "Bob").id, prompt_tokens=None, tokens=100)
    found = store.finals.estimate(made.id, 5, prompt_price=0.6, completion_price=1.2)
    assert (found.n_entries, found.n_runs, found.n_unknown) == (2, 10, 1)
    assert (found.prompt_tokens, found.tokens) == (10_000, 3_000)
    assert found.dollars == pytest.approx(10_000 * 0.6e-6 + 3_000 * 1.2e-6)


def store_one(store: Store, participant_id: int, **values: object) -> None:
    from tests.grader.competition.samples import job, report

    stored = store.submissions.add(participant_id, generation("k", **values))
    store.submissions.add_grade(job(store, stored), report(50), 0.1)


def test_a_cap_stops_before_it_is_passed_and_can_be_raised(store: Store) -> None:
    """Every run writes 100 tokens at 10,000 dollars a million: one dollar."""
    made = closed_round(store, {"Ada": 50, "Bob": 40})
    started = store.finals.start(made.id, n_seeds=3, completion_price=10_000, cost_cap=4.5)
    play(store, started)
    found = store.finals.progress(started.id)
    assert (found.n_done, found.dollars) == (4, pytest.approx(4))
    assert store.finals.get(started.id).state == "capped"
    store.finals.resume(started.id, cost_cap=6)
    play(store, started)
    assert store.finals.get(started.id).state == "done"


def test_a_second_process_leaves_a_final_to_the_first(store: Store, clock: Clock) -> None:
    made = closed_round(store, {"Ada": 50})
    started = store.finals.start(made.id, n_seeds=1)
    (job,) = store.finals.pending(started.id)
    assert store.finals.take_lease(started.id, "first", 30) == "running"
    assert store.finals.take_lease(started.id, "second", 30) is None
    report = {"score": 1.0, "max_score": 120.0}
    assert not store.finals.record(job, "second", written(job), "code", report)
    clock.wait(31)  # the first gives no sign of life
    assert store.finals.take_lease(started.id, "second", 30) == "running"
    assert not store.finals.record(job, "first", written(job), "code", report)
    assert store.finals.record(job, "second", written(job), "code", report)
    assert not store.finals.record(job, "second", written(job), "code", report)


def test_two_runners_at_once_run_every_seed_once(store: Store) -> None:
    made = closed_round(store, {f"Person {n}": 50 for n in "ABCD"})
    started = store.finals.start(made.id, n_seeds=5)
    seen: list[tuple[int, int]] = []

    def run(job: FinalJob) -> SetupRun:
        seen.append((job.entry_id, job.number))
        return written(job)

    runners = [runner(store, run, lambda reply, seed: 1.0) for _ in range(2)]
    for each in runners:
        each.wake()
    assert all(each.wait_idle(60) for each in runners)
    assert len(seen) == len(set(seen)) == store.finals.progress(started.id).n_done == 20


def test_a_restored_final_goes_on(store: Store) -> None:
    made = closed_round(store, {"Ada": 50, "Bob": 40})
    store.finals.pick(*picked(store, made.id))
    started = store.finals.start(made.id, n_seeds=2)
    (first, *_) = store.finals.pending(started.id)
    store.finals.take_lease(started.id, "gone", 30)
    from tests.grader.competition.samples import report

    store.finals.record(first, "gone", written(first), "code", report(30))
    file = backup(store, made.id)
    store.rounds.delete(made.id)
    restored = restore(store, file)
    (again,) = store.finals.of_round(restored.id)
    assert (again.seeds, again.state) == (started.seeds, "running")
    assert store.finals.progress(again.id).n_done == 1
    assert [(job.number, job.seed) for job in store.finals.pending(again.id)] == [
        (0, started.seeds[0]),
        (1, started.seeds[1]),
        (1, started.seeds[1]),
    ]
    assert len(store.finals.picks(store.participants.of_round(restored.id)[0].id)) == 1


def picked(store: Store, round_id: int) -> tuple[int, list[int]]:
    first = store.submissions.of_round(round_id)[0]
    return first.participant_id, [first.id]


def test_the_real_grader_judges_what_a_setup_wrote(store: Store) -> None:
    from grader.competition import FinalRunner

    made = closed_round(store, {"Ada": 50})
    started = store.finals.start(made.id, n_seeds=1)
    reply = f"Here:\n```python\n{challenge('user_metrics').baseline}\n```"
    made_runner = FinalRunner(store, lambda job, stop: SetupRun(reply, 5, 5, 0.1))
    made_runner.wake()
    assert made_runner.wait_idle(60)
    (line,) = store.final_boards.standings(started.id)
    assert 0 < line.mean < 120  # the faulty first attempt
