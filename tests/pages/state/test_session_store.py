"""Nothing is lost: sessions come back from memory and from disk, and only under their own key."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import numpy as np
import pytest

from moa_core import CallRecord
from moa_core.errors import NoProvider
from moa_core.runs import events
from moa_core.runs.trace import Trace
from pages.state import plain_session
from pages.state.advice import advice, words
from pages.state.attempts import Attempt
from pages.state.session import Session
from pages.state.session_store import SessionStore, is_key, new_key
from pages.state.turn import Turn
from wse_backend import PhaseMeasure, Timing


def run(question: str = "Why?", text: str = "a draft") -> Turn:
    """A finished run of one agent and the summarizer, with times per layer."""
    phase = PhaseMeasure(np.full((2, 5), 0.5), passes=3, tokens=3, seconds=0.1, head_ms=1.0)
    timing = Timing(0.0, 0.1, 0.2, phase, phase)
    sent = ({"role": "user", "content": question},)
    record = CallRecord(1, "Ada", 0, "agent", "wafer", "tiny", 0.0, 1.0, 0.5, text=text, messages=sent)
    final = CallRecord(2, "Summarizer", 0, "summarizer", "wafer", "tiny", 1.0, 2.0, 1.5, timing=timing)
    turn = Turn(question)
    turn.apply(events.RunStarted("layered", 1))
    turn.apply(events.LayerStarted(1, ("Ada",)))
    turn.apply(events.AgentFinished(1, "Ada", 0, text, record))
    turn.apply(events.LayerFinished(1, (text,)))
    turn.apply(events.SummaryDelta("because"))
    turn.apply(events.RunFinished("because", Trace((record, final), 2.0)))
    turn.ended.set()
    return turn


def full_session() -> Session:
    session = Session()
    session.draft.summarizer.name = ""  # an edit that is not complete yet
    session.turns = [run()]
    session.turns[0].single = run("Why?", "alone")
    session.attempts = [
        Attempt(1, "user_metrics", run("Write it"), code="def f(): ...", report={"score": 7.5})
    ]
    session.last_run, session.seats, session.kept = session.turns[0], {"r1": 4}, {"lab": [1, 2]}
    return session


def again(session: Session) -> Session:
    return plain_session.from_json(plain_session.to_json(session))


def test_everything_comes_back() -> None:
    before, after = full_session(), again(full_session())
    assert after.draft.summarizer.name == ""
    assert [a.prompt for a in after.draft.agents] == [a.prompt for a in before.draft.agents]
    assert (after.turns[0].answer, after.turns[0].records) == ("because", before.turns[0].records)
    assert after.turns[0].records[0].messages == before.turns[0].records[0].messages
    assert after.turns[0].single is not None
    assert (after.attempts[0].code, after.attempts[0].report) == ("def f(): ...", {"score": 7.5})
    assert after.last_run is after.turns[0]
    assert (after.seats, after.kept) == ({"r1": 4}, {"lab": [1, 2]})


def test_the_last_runs_times_per_layer_come_back() -> None:
    final = again(full_session()).turns[0].records[-1]
    assert final.timing.decode.layers_ms.tolist() == [[0.5] * 5] * 2
    assert final.timing.decode.passes == 3


def test_a_run_that_a_restart_cut_off_says_so() -> None:
    session = Session()
    session.turns = [Turn("Still going?", answer="half")]
    turn = again(session).turns[0]
    assert (turn.state, turn.answer, turn.is_running) == ("stopped", "half", False)
    assert "server was restarted" in turn.notes[0]


def test_an_error_keeps_its_words_and_its_advice() -> None:
    session = Session()
    error = NoProvider("nobody serves 'x'")
    session.turns = [Turn("Why?", state="failed", error=error)]
    kept = again(session).turns[0].error
    assert kept is not None
    assert (words(kept), advice(kept)) == (words(error), advice(error))


def test_beyond_the_limit_the_oldest_lose_their_texts_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session()
    session.turns = [run(text="word " * 2000), run(text="word " * 2000)]
    monkeypatch.setattr(plain_session, "MAX_BYTES", 30_000)
    old, new = again(session).turns
    assert (old.layers[0].calls[0].text, old.answer) == ("", "because")
    assert "left out to save space" in old.layers[0].calls[0].note
    assert new.layers[0].calls[0].text == "word " * 2000


@pytest.mark.parametrize("text", ["", "[]", '{"version": 99}', '{"version": 1, "draft": {}}'])
def test_what_is_no_session_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no session"):
        plain_session.from_json(text)


def test_a_living_session_is_shared_and_another_key_sees_nothing(tmp_path: Path) -> None:
    store, mine, other = SessionStore(tmp_path), new_key(), new_key()
    first = store.get(mine)
    first.turns.append(run())
    assert store.get(mine) is first
    assert store.get(other).turns == []


def test_a_restart_finds_what_was_saved_under_its_key_alone(tmp_path: Path) -> None:
    key = new_key()
    first = SessionStore(tmp_path).get(key)
    first.turns.append(run())
    first.save()
    assert [turn.answer for turn in SessionStore(tmp_path).get(key).turns] == ["because"]
    assert SessionStore(tmp_path).get(new_key()).turns == []


def test_the_file_tells_nobody_the_key_and_is_its_owners_alone(tmp_path: Path) -> None:
    key = new_key()
    session = SessionStore(tmp_path / "kept").get(key)
    session.turns.append(run())
    session.save()
    (path,) = (tmp_path / "kept").iterdir()
    assert key not in path.name
    assert key not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_session_in_which_nothing_was_done_leaves_no_file(tmp_path: Path) -> None:
    session = SessionStore(tmp_path).get(new_key())
    session.save()
    assert list(tmp_path.iterdir()) == []


def test_forgetting_empties_the_session_and_the_disk(tmp_path: Path) -> None:
    store, key = SessionStore(tmp_path), new_key()
    session = store.get(key)
    session.turns.append(run())
    session.save()
    store.forget(key)
    assert (session.turns, list(tmp_path.iterdir())) == ([], [])


def test_an_unreadable_file_is_put_aside_and_a_new_session_begins(tmp_path: Path) -> None:
    key = new_key()
    session = SessionStore(tmp_path).get(key)
    session.turns.append(run())
    session.save()
    (path,) = tmp_path.iterdir()
    path.write_text(json.dumps({"version": 1}))
    assert SessionStore(tmp_path).get(key).turns == []
    assert [each.suffix for each in tmp_path.iterdir()] == [".unreadable"]


def test_a_disk_that_takes_nothing_is_a_problem_that_is_told(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    store = SessionStore(blocker / "below")
    session = store.get(key := new_key())
    session.turns.append(run())
    session.save()
    assert store.problem is not None
    assert store.get(key) is session


def test_cleaning_takes_what_nobody_used_for_a_month(tmp_path: Path) -> None:
    for name, age_s in (("old", 31 * 86400), ("new", 60)):
        (tmp_path / f"{name}.json").write_text("{}")
        os.utime(tmp_path / f"{name}.json", (1_000_000_000 - age_s,) * 2)
    SessionStore(tmp_path).clean(now_s=1_000_000_000)
    assert [path.name for path in tmp_path.iterdir()] == ["new.json"]


@pytest.mark.parametrize(
    ("text", "is_one"),
    [(new_key(), True), ("", False), ("../etc", False), (None, False)],
    ids=["a key", "nothing", "a path", "no text"],
)
def test_only_a_key_is_taken_for_one(text: object, is_one: bool) -> None:
    assert is_key(text) == is_one
