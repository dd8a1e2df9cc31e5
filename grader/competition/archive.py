"""A round as files: a backup that restores it, and tables for whoever wants to study it.

A backup is one gzip'd JSON document with everything of the round, its own checksum, and the scrypt hashes of
the codes, so that participants can come back to a restored round. The tables have neither hashes nor codes.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from grader.competition.backup_checks import check_row
from grader.competition.errors import AlreadyThere, BadBackup
from grader.competition.models import (
    Base,
    FinalEntryRow,
    FinalRow,
    FinalRunRow,
    GradeRow,
    MemberRow,
    ParticipantRow,
    PickRow,
    RoundRow,
    SubmissionRow,
)
from grader.competition.records import Round
from grader.competition.rounds import find_round
from grader.competition.store import Store
from grader.competition.submissions import with_current_grade

FORMAT = "moa-competition-round"
VERSION = 1
MAX_BACKUP_BYTES = 400_000_000
"""Unpacked; a few thousand submissions with all their texts."""

_PARTS: tuple[tuple[str, type[Base], dict[str, str]], ...] = (
    ("participants", ParticipantRow, {"round_id": "rounds"}),
    ("members", MemberRow, {"participant_id": "participants"}),
    ("submissions", SubmissionRow, {"round_id": "rounds", "participant_id": "participants"}),
    ("grades", GradeRow, {"submission_id": "submissions", "supersedes_id": "grades"}),
    ("picks", PickRow, {"participant_id": "participants", "submission_id": "submissions"}),
    ("finals", FinalRow, {"round_id": "rounds"}),
    (
        "final_entries",
        FinalEntryRow,
        {"final_id": "finals", "participant_id": "participants", "submission_id": "submissions"},
    ),
    ("final_runs", FinalRunRow, {"entry_id": "final_entries"}),
)
_FIRST_PARTS = {"round", "participants", "submissions", "grades"}
"""What a round has beside itself, parents first, and which of its columns name a row of which part."""

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
CSV_COLUMNS = (
    "submission",
    "nickname",
    "disqualified",
    "created",
    "score",
    "max_score",
    "tokens",
    "duration_s",
    "cost_usd",
    "backend",
    "models",
    "generation_seed",
    "n_grades",
)


def backup(store: Store, round_id: int) -> bytes:
    """The whole round as one file, all of one moment. Raises NotFound or StoreError."""
    with store.database.reading() as connection:
        found = find_round(connection, round_id)
        data: dict[str, Any] = {"round": _rows(connection, RoundRow, RoundRow.id == found.id)[0]}
        keys: dict[str, list[int]] = {"rounds": [found.id]}
        for name, model, parents in _PARTS:
            column, parent = next(iter(parents.items()))
            data[name] = _rows(connection, model, model.__table__.c[column].in_(keys[parent]))
            keys[name] = [each["id"] for each in data[name]]
    payload = json.dumps(data, ensure_ascii=False, sort_keys=True)
    head = {"format": FORMAT, "version": VERSION, "sha256": hashlib.sha256(payload.encode()).hexdigest()}
    return gzip.compress(f"{json.dumps(head)}\n{payload}".encode(), 6)


def _rows(
    connection: sa.Connection, model: type[Base], condition: sa.ColumnElement[bool]
) -> list[dict[str, Any]]:
    table = model.__table__
    return [
        dict(row._mapping) for row in connection.execute(sa.select(table).where(condition).order_by("id"))
    ]


def restore(store: Store, file: bytes) -> Round:
    """Bring a round back from its backup, all of it or nothing; its rows get new ids.

    Raises BadBackup for anything else than an undamaged backup, AlreadyThere, or StoreError.
    """
    data = _read(file)
    _check(data)
    try:
        with store.database.writing() as connection:
            return _insert(connection, data)
    except (KeyError, TypeError, IntegrityError) as exc:  # rows that name none, or one twice
        raise BadBackup(f"the backup does not fit together: {type(exc).__name__}") from exc


def _read(file: bytes) -> Mapping[str, Any]:
    unpacker = zlib.decompressobj(wbits=31)
    try:
        text = unpacker.decompress(file, MAX_BACKUP_BYTES)
        if unpacker.unconsumed_tail or not unpacker.eof:
            raise BadBackup("the backup is cut off, or larger than a round can be")
        head_line, _, payload = text.partition(b"\n")
        head = json.loads(head_line)
        if head["format"] != FORMAT or head["version"] != VERSION:
            raise BadBackup(
                f"this is a {head['format']} of version {head['version']}, not {FORMAT} {VERSION}"
            )
        if hashlib.sha256(payload).hexdigest() != head["sha256"]:
            raise BadBackup("the backup was damaged or changed: its checksum is another")
        data: Mapping[str, Any] = json.loads(payload)
    except BadBackup:
        raise
    except (zlib.error, ValueError, KeyError, TypeError, RecursionError) as exc:
        raise BadBackup("this file is no backup of a round") from exc
    return data


def _check(data: object) -> None:
    """Every row by itself; that they belong together, the database checks when they are inserted."""
    names = {"round", *(name for name, _, _ in _PARTS)}
    if not isinstance(data, dict) or not _FIRST_PARTS <= set(data) <= names:
        raise BadBackup(f"a backup of a round has {', '.join(sorted(names))}")
    check_row(RoundRow, data["round"])
    for name, model, _ in _PARTS:
        rows = data.get(name, [])
        if not isinstance(rows, list):
            raise BadBackup("the rows of a backup are in lists")
        for each in rows:
            check_row(model, each)


def _insert(connection: sa.Connection, data: Mapping[str, Any]) -> Round:
    values = _without_id(data["round"])
    if connection.execute(sa.select(RoundRow.id).where(RoundRow.uid == values["uid"])).first():
        raise AlreadyThere(str(values["title"]))
    row = connection.execute(sa.insert(RoundRow).values(values).returning(RoundRow.__table__)).one()
    found = Round(**row._mapping)
    ids: dict[str, dict[int | None, int | None]] = {"rounds": {data["round"]["id"]: found.id}}
    for name, model, parents in _PARTS:
        ids[name] = {None: None}
        for each in data.get(name, ()):
            columns = _without_id(each)
            columns |= {column: ids[parent][each[column]] for column, parent in parents.items()}
            statement: sa.Insert = sa.insert(model).values(columns).returning(sa.literal_column("id"))
            ids[name][each["id"]] = connection.execute(statement).scalar_one()
    return found


def _without_id(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "id"}


def to_csv(store: Store, round_id: int) -> str:
    """One line per submission with its current grade, for a spreadsheet. Raises NotFound or StoreError.

    A text that a spreadsheet would take for a formula gets an apostrophe in front of it.
    """
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, CSV_COLUMNS, extrasaction="ignore")
    writer.writeheader()
    for line in _lines(store, round_id):
        writer.writerow({name: no_formula(value) for name, value in line.items()})
    return text.getvalue()


def to_json(store: Store, round_id: int) -> str:
    """Every submission with its texts and its report, as JSON. Raises NotFound or StoreError."""
    found = store.rounds.get(round_id)
    about = {"title": found.title, "challenge": found.challenge, "seed": found.seed}
    lines = list(_lines(store, round_id))
    return json.dumps({"round": about, "submissions": lines}, ensure_ascii=False, indent=1)


def no_formula(value: object) -> object:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA_STARTS) else value


def _lines(store: Store, round_id: int) -> Iterator[dict[str, Any]]:
    columns = (SubmissionRow.__table__, ParticipantRow.nickname, ParticipantRow.disqualified_reason)
    query = with_current_grade(*columns, GradeRow.score, GradeRow.max_score, GradeRow.report).join(
        ParticipantRow, ParticipantRow.id == SubmissionRow.participant_id
    )
    query = query.where(SubmissionRow.round_id == round_id).order_by(SubmissionRow.id)
    counts = sa.select(GradeRow.submission_id, sa.func.count().label("n")).group_by(GradeRow.submission_id)
    with store.database.reading() as connection:
        find_round(connection, round_id)
        n_grades = {row.submission_id: row.n for row in connection.execute(counts)}
        for row in connection.execute(query):
            yield {
                "submission": row.id,
                "nickname": row.nickname,
                "disqualified": row.disqualified_reason or "",
                "created": iso(row.created_ms),
                "score": row.score,
                "max_score": row.max_score,
                "tokens": row.tokens,
                "duration_s": row.duration_ms / 1000,
                "cost_usd": row.cost_usd,
                "backend": row.backend,
                "models": ", ".join(json.loads(row.models)),
                "generation_seed": row.generation_seed,
                "n_grades": n_grades.get(row.id, 0),
                "config": json.loads(row.config),
                "messages": json.loads(row.messages),
                "reply": row.reply,
                "code": row.code,
                "report": None if row.report is None else json.loads(row.report),
            }


def iso(at_ms: int) -> str:
    """A time as ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
