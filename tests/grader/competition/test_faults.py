"""Killed, full, unreachable: what was acknowledged is there, and what was not can be sent again."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
import sqlalchemy as sa

from grader.competition import Database, Limits, Store, StoreFull, StoreUnavailable
from tests.grader.competition.final_samples import closed_round
from tests.grader.competition.killing import (
    check_after_kill,
    check_seats,
    kill_while_arriving,
    kill_while_playing,
    start_final,
)
from tests.grader.competition.postgres import NoServer, running
from tests.grader.competition.samples import generation, join, open_round, scored

KILLS = 3  # bench/competition.py does it 50 times


@pytest.mark.slow
def test_killed_at_random_points_nothing_acknowledged_is_lost(url: str) -> None:
    store = Store.open(url)
    made = open_round(store, team_size=2)
    people = [join(store, made, f"Entry {letter}").id for letter in "ABC"]
    teams = [text for name in ("Blue", "Red") for text in (name, store.participants.join(made.id, name)[1])]
    store.close()
    random = Random(7)
    acknowledged: dict[str, int] = {}
    moved = set()
    for _ in range(KILLS):
        heard = kill_while_arriving(url, people, random, str(made.id), *teams)
        acknowledged |= heard.submissions
        moved |= set(heard.seats)
        assert check_after_kill(url, acknowledged) == (0, 0)
        assert check_seats(url, made.id, made.team_size, heard.seats) == set()
    assert len(acknowledged) > KILLS
    assert moved


@pytest.mark.slow
def test_killed_in_the_middle_of_a_final_no_seed_is_missing_or_double(url: str) -> None:
    store = Store.open(url)
    made = closed_round(store, {f"Person {letter}": 50 for letter in "ABCD"})
    started = store.finals.start(made.id, n_seeds=10)
    random = Random(11)
    for _ in range(KILLS):
        kill_while_playing(url, random)
    n_done = store.finals.progress(started.id).n_done
    assert 0 < n_done < 40
    last = [start_final(url), start_final(url)]  # two processes at once finish it
    began = [line for process in last for line in process.communicate(timeout=120)[0].splitlines()]
    assert len(began) == len(set(began)) == 40 - n_done
    assert store.finals.get(started.id).state == "done"
    lines = store.final_boards.standings(started.id)
    assert [line.scores for line in lines] == [tuple(seed % 100 for seed in started.seeds)] * 4
    store.close()


def test_what_was_not_graded_before_a_restart_is_found_waiting(url: str) -> None:
    store = Store.open(url)
    made = open_round(store)
    ada = join(store, made, "Ada")
    scored(store, ada, "a1", 50)
    stored = store.submissions.add(ada.id, generation("a2"))
    store.close()
    again = Store.open(url)
    assert [job.submission_id for job in again.submissions.waiting()] == [stored.id]
    assert [row.value for row in again.boards.board(made.id)] == [50]
    again.close()


def test_a_full_disk_is_said_and_the_attempt_can_be_sent_again(tmp_path: Path) -> None:
    """SQLite's own limit on pages stands in for the disk: it fails at the same point with the same code."""
    store = Store.open(f"sqlite:///{tmp_path / 'full.sqlite3'}")
    ada = join(store, open_round(store), "Ada")
    store.close()

    limit = sa.event.listens_for(store.database.engine, "connect")

    @limit
    def shrink(connection: object, _record: object) -> None:
        connection.execute("PRAGMA max_page_count = 1").close()  # type: ignore[attr-defined]

    large = generation("a1", reply="x" * 500_000)
    with pytest.raises(StoreFull, match="its disk is full; nothing was stored"):
        store.submissions.add(ada.id, large)
    assert store.submissions.of_participant(ada.id) == []
    sa.event.remove(store.database.engine, "connect", shrink)
    store.close()
    assert store.submissions.add(ada.id, large).id == store.submissions.of_participant(ada.id)[0].id
    store.close()


def test_a_server_that_went_away_is_said_and_used_again_when_it_is_back() -> None:
    try:
        with running() as server:
            store = Store.open(server.url)
            ada = join(store, open_round(store), "Ada")
            server.stop("immediate")
            with pytest.raises(StoreUnavailable, match="nothing was stored") as caught:
                store.submissions.add(ada.id, generation("a1"))
            assert "not-a-secret" not in str(caught.value)
            server.start()
            first = store.submissions.add(ada.id, generation("a1"))
            assert store.submissions.add(ada.id, generation("a1")).id == first.id
            store.close()
    except NoServer as exc:
        pytest.skip(str(exc))


@pytest.mark.parametrize(
    "bad",
    [
        "postgresql://workshop:not-a-secret@127.0.0.1:1/x",
        "sqlite:////proc/no/such/folder/x.sqlite3",
        "mysterious://workshop:not-a-secret@host/x",
        "not a url",
    ],
    ids=["nobody listens", "no folder", "no driver", "no url"],
)
def test_an_unusable_database_is_said_without_its_password(bad: str) -> None:
    with pytest.raises(StoreUnavailable) as caught:
        Store.open(bad)
    assert "not-a-secret" not in str(caught.value)


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "notes.sqlite3"
    file.write_text("These are my notes. " * 100)
    with pytest.raises(StoreUnavailable):
        Store.open(f"sqlite:///{file}")
    assert file.read_text() == "These are my notes. " * 100


def test_sqlite_is_set_up_to_survive_a_power_cut(tmp_path: Path) -> None:
    """What sqlite.org's documentation of WAL asks for when a commit must be on the disk: FULL is 2."""
    store = Store.open(f"sqlite:///{tmp_path / 'x.sqlite3'}")
    with store.database.reading() as connection:
        found = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")
        ]
    assert found == ["wal", 2, 10_000, 1]
    store.close()


def test_every_error_of_the_database_library_is_translated() -> None:
    from grader.competition.database import translated

    def subclasses(kind: type[Exception]) -> set[type[Exception]]:
        return {kind}.union(*(subclasses(each) for each in kind.__subclasses__()))

    kinds = subclasses(sa.exc.SQLAlchemyError) - subclasses(sa.exc.IntegrityError)
    assert len(kinds) > 20
    for kind in kinds:
        error = kind.__new__(kind)
        Exception.__init__(error, "no details")
        error.__dict__ |= {"detail": [], "statement": None, "orig": None, "params": None, "code": None}
        with pytest.raises(StoreUnavailable), translated("write to"):
            raise error


def test_limits_below_one_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Limits(joins_per_round_per_minute=0)


def test_a_database_that_is_written_by_another_process_is_waited_for(tmp_path: Path) -> None:
    """The lock of this process does not know the other one; SQLite's busy timeout does."""
    import sqlite3
    import threading

    file = tmp_path / "x.sqlite3"
    store = Store.open(f"sqlite:///{file}")
    made = open_round(store)
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    threading.Timer(0.3, lambda: other.execute("COMMIT")).start()
    assert join(store, made, "Ada").number == 1
    other.close()
    store.close()
    assert Database(f"sqlite:///{file}").is_sqlite
