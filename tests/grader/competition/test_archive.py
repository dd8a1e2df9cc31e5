"""A round as a file: restored elsewhere as it was; damaged files change nothing; tables for spreadsheets."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json

import pytest

from grader.competition import (
    AlreadyThere,
    BadBackup,
    Round,
    Store,
    backup,
    restore,
    to_csv,
    to_json,
    why_unplayable,
)
from tests.grader.competition.conftest import Clock
from tests.grader.competition.samples import generation, job, join, open_round, report, scored


@pytest.fixture
def played(store: Store, clock: Clock) -> Round:
    """A round with two people, three submissions, a regrade, one that waits, and a disqualification."""
    open_round(store, title="Another one")  # so that ids differ when it is restored
    made = open_round(store, submission_limit=9)
    ada, bob = join(store, made, "Ada"), join(store, made, "=HYPERLINK(1)")
    mistaken = scored(store, ada, "a1", 100)
    clock.wait(1)
    scored(store, bob, "b1", 60)
    store.submissions.add_grade(job(store, mistaken), report(40), 0.1)
    store.submissions.add(bob.id, generation("b2", cost_usd=0.0123))
    return store.rounds.get(made.id)


def board(store: Store, made: Round) -> list[tuple[str, float, int]]:
    return [(row.nickname, row.value, row.created_ms) for row in store.boards.board(made.id)]


def test_a_restored_round_is_the_same(store: Store, played: Round) -> None:
    file, before = backup(store, played.id), board(store, played)
    again_before = json.loads(to_json(store, played.id))
    store.rounds.delete(played.id)
    restored = restore(store, file)
    assert (restored.uid, restored.title, restored.submission_limit) == (played.uid, "Morning", 9)
    assert restored.id != played.id
    assert board(store, restored) == before
    assert [len(store.submissions.of_round(restored.id)), len(store.submissions.waiting(restored.id))] == [
        3,
        1,
    ]
    assert [each.cost_usd for each in store.submissions.of_round(restored.id)] == [None, None, 0.0123]
    again = json.loads(to_json(store, restored.id))
    for line in (*again["submissions"], *again_before["submissions"]):
        del line["submission"]
    assert again == again_before


def test_participants_come_back_to_a_restored_round(store: Store) -> None:
    made = open_round(store)
    code = store.participants.join(made.id, "Ada")[1]
    file = backup(store, made.id)
    store.rounds.delete(made.id)
    restored = restore(store, file)
    assert store.participants.come_back(restored.id, "Ada", code).nickname == "Ada"


def test_a_round_moves_from_sqlite_to_the_other_database(
    store: Store, played: Round, tmp_path: object
) -> None:
    embedded = Store.open(f"sqlite:///{tmp_path}/moved.sqlite3")
    restored = restore(embedded, backup(store, played.id))
    assert board(embedded, restored) == board(store, played)
    with pytest.raises(AlreadyThere):
        restore(embedded, backup(embedded, restored.id))
    embedded.close()


def test_a_round_that_is_there_is_not_restored_over(store: Store, played: Round) -> None:
    with pytest.raises(AlreadyThere, match="Morning"):
        restore(store, backup(store, played.id))
    assert len(store.rounds.all()) == 2


def repacked(file: bytes, old: bytes, new: bytes) -> bytes:
    text = gzip.decompress(file)
    assert old in text
    return gzip.compress(text.replace(old, new))


def test_a_changed_score_is_noticed(store: Store, played: Round) -> None:
    file = repacked(backup(store, played.id), b'"score": 60', b'"score": 99')
    store.rounds.delete(played.id)
    with pytest.raises(BadBackup, match="checksum"):
        restore(store, file)


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: b"",
        lambda file: b"PK\x03\x04 not a backup",
        lambda file: file[: len(file) // 2],
        lambda file: gzip.compress(b"[]"),
        lambda file: gzip.compress(b'{"format": "other", "version": 9}\n{}'),
        lambda file: repacked(file, b"moa-competition-round", b"moa-competition-chaos"),
    ],
    ids=["empty", "another kind", "cut off", "a list", "another format", "renamed"],
)
def test_a_file_that_is_no_backup_changes_nothing(store: Store, played: Round, damage: object) -> None:
    file = damage(backup(store, played.id))  # type: ignore[operator]
    store.rounds.delete(played.id)
    with pytest.raises(BadBackup):
        restore(store, file)
    assert len(store.rounds.all()) == 1


REPORT = json.dumps(report(60))


def changed(file: bytes, part: str, column: str, value: object) -> bytes:
    """The backup with one value changed in the last row of a part, and a checksum that is right again."""
    head, _, payload = gzip.decompress(file).partition(b"\n")
    data = json.loads(payload)
    (data[part] if part == "round" else data[part][-1])[column] = value
    payload = json.dumps(data).encode()
    head = json.dumps({**json.loads(head), "sha256": hashlib.sha256(payload).hexdigest()}).encode()
    return gzip.compress(head + b"\n" + payload)


@pytest.mark.parametrize(
    ("part", "column", "value", "said"),
    [
        ("grades", "submission_id", 10_000, "does not fit together"),
        ("round", "challenge", "no_such_challenge", "no_such_challenge"),
        ("round", "visibility", "some", "visibility is one of"),
        ("round", "title", "a\nb", "title"),
        ("round", "closes_ms", 2**62, "year"),
        ("round", "cooldown_s", "10", "cooldown_s cannot be 10"),
        ("round", "uid", "../../etc", "uid"),
        ("round", "host", "me", "column host"),
        ("participants", "nickname", "Ada\u202e", "invisible"),
        ("participants", "skeleton", "eve", "nickname"),
        ("participants", "code_hash", "x:y", "hash"),
        ("submissions", "config", "[]", "not a JSON object"),
        ("submissions", "messages", "[1]", "messages"),
        ("submissions", "models", "{}", "models"),
        ("submissions", "code", "\x00", "code cannot be"),
        ("submissions", "cost_usd", -0.01, "a cost is"),
        ("submissions", "cost_usd", float("inf"), "cost_usd cannot be inf"),
        ("grades", "report", "{}", "report"),
        ("grades", "report", "[" * 50_000, "RecursionError"),
        ("grades", "score", 121, "maximum"),
        ("grades", "score", float("nan"), "score cannot be nan"),
        ("grades", "max_score", True, "max_score cannot be True"),
        ("grades", "max_score", 10**400, "max_score cannot be 1000"),
        ("submissions", "cost_usd", 10**400, "cost_usd cannot be 1000"),
        ("submissions", "id", 10**400, "id cannot be 1000"),
        ("round", "budget", '{"tokens": 1' + "0" * 400 + "}", "a budget's tokens"),
        ("participants", "account", "me", "digest"),
        ("grades", "max_score", 1e300, "maximum"),
        ("grades", "report", REPORT.replace('"score": 60', f'"score": {10**400}'), "report"),
        ("grades", "report", REPORT.replace('"seed": 5', '"seed": 1e999'), "OverflowError"),
        ("grades", "created_ms", 2**62, "1970 and 9999"),
        ("submissions", "created_ms", -1, "1970 and 9999"),
        ("submissions", "tokens", 2**31, "tokens cannot be"),
        ("submissions", "generation_seed", 10**400, "generation_seed cannot be"),
        ("participants", "created_ms", 2**63 - 1, "1970 and 9999"),
        ("participants", "number", 10**400, "number cannot be"),
        ("round", "id", 10**400, "id cannot be"),
        ("round", "frozen_ms", 2**63 - 1, "1970 and 9999"),
    ],
)
def test_a_backup_is_checked_like_what_is_typed(
    store: Store, played: Round, part: str, column: str, value: object, said: str
) -> None:
    """Its checksum is right: whoever changed it computed a new one."""
    file = changed(backup(store, played.id), part, column, value)
    store.rounds.delete(played.id)
    with pytest.raises(BadBackup, match=said):
        restore(store, file)
    assert len(store.rounds.all()) == 1


def test_a_stored_round_of_a_challenge_that_is_gone_says_why_it_cannot_be_played(
    store: Store, played: Round
) -> None:
    with store.database.writing() as connection:
        connection.exec_driver_sql(f"UPDATE rounds SET challenge = 'gone' WHERE id = {played.id}")
    found = store.rounds.get(played.id)
    assert "gone" in (why_unplayable(found) or "")
    assert why_unplayable(played) is None
    store.rounds.delete(played.id)
    assert [each.title for each in store.rounds.all()] == ["Another one"]


def test_a_bomb_is_not_unpacked(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grader.competition.archive.MAX_BACKUP_BYTES", 10_000)
    with pytest.raises(BadBackup, match="larger than a round can be"):
        restore(store, gzip.compress(b" " * 5_000_000))


def test_the_table_has_current_grades_and_no_formulas(store: Store, played: Round) -> None:
    lines = list(csv.DictReader(io.StringIO(to_csv(store, played.id))))
    assert [(line["nickname"], line["score"], line["n_grades"]) for line in lines] == [
        ("Ada", "40.0", "2"),
        ("'=HYPERLINK(1)", "60.0", "1"),
        ("'=HYPERLINK(1)", "", "0"),
    ]
    assert [line["cost_usd"] for line in lines] == ["", "", "0.0123"]
    assert lines[0]["created"] == "2027-01-15T08:00:00.000+00:00"


def test_the_export_has_everything_to_make_a_generation_again(store: Store, played: Round) -> None:
    first = json.loads(to_json(store, played.id))["submissions"][0]
    assert (first["config"], first["generation_seed"]) == ({"agents": ["a1"]}, 7)
    assert first["messages"] == [{"role": "user", "content": "Write it."}]
    assert "calculate_user_metrics" in first["code"]
