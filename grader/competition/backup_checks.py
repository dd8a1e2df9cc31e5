"""What a backup says is checked before any of it is stored, as strictly as if it had been typed."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any, cast, get_args

import sqlalchemy as sa

from grader.competition.errors import BadBackup
from grader.competition.finals import check_final
from grader.competition.models import (
    Base,
    FinalRow,
    FinalRunRow,
    GradeRow,
    MemberRow,
    ParticipantRow,
    RoundRow,
    SubmissionRow,
)
from grader.competition.nicknames import NAME_CHARS, NICKNAME_CHARS, clean_nickname, skeleton
from grader.competition.records import FinalState, Generation, storable
from grader.competition.rounds import LATEST_MS, check_rules
from grader.errors import GraderError
from grader.grading.report import Report

MAX_POINTS = 1_000_000  # more than any challenge pays
_OF_WRONG_DATA = (ArithmeticError, ValueError, TypeError, KeyError, AttributeError, RecursionError)
_INT32, _INT64 = 2**31, 2**63
_HASH = re.compile(r"[0-9a-f]{32}:[0-9a-f]{64}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_UID = re.compile(r"[0-9a-f]{32}")


def check_row(model: type[Base], row: Mapping[str, Any]) -> None:
    """Raise BadBackup unless every value fits its column and the row makes sense by itself.

    A column that newer versions added may be missing: the database has a value for it.
    """
    name = model.__tablename__
    table = cast(sa.Table, model.__table__)
    if not isinstance(row, dict) or not isinstance(row.get("id"), int):
        raise BadBackup(f"a row of {name} in the backup is no row")
    for column in set(row) - set(table.columns.keys()):
        raise BadBackup(f"the backup has a column {column[:40]} in {name} that is not known here")
    for column in table.columns:
        if column.name in row:
            _check_value(name, column, row[column.name])
        elif not column.nullable and column.server_default is None:
            raise BadBackup(f"the backup has no {column.name} in {name}")
    if model in _MEANING:
        try:
            _MEANING[model](row)
        except BadBackup:
            raise
        except (GraderError, *_OF_WRONG_DATA) as exc:
            reason = str(exc) if isinstance(exc, GraderError) else type(exc).__name__
            raise BadBackup(f"the backup does not fit together: in {name}: {reason}") from exc


def _check_value(table: str, column: sa.Column[Any], value: object) -> None:
    if value is None and column.nullable:
        return
    if not _fits(column.type, value):
        raise BadBackup(
            f"the backup does not fit together: {table}.{column.name} cannot be {str(value)[:40]}"
        )
    is_time = column.name.endswith("_ms") and isinstance(column.type, sa.BigInteger)
    if is_time and not 0 <= cast(int, value) <= LATEST_MS:
        raise BadBackup(
            f"the backup does not fit together: {table}.{column.name} is not between the years 1970 and 9999"
        )


def _fits(kind: sa.types.TypeEngine[Any], value: object) -> bool:
    """Whether a value is what the column holds, on both databases."""
    if isinstance(kind, sa.Boolean):
        return isinstance(value, bool)
    if isinstance(kind, sa.Integer):
        limit = _INT64 if isinstance(kind, sa.BigInteger) else _INT32
        return isinstance(value, int) and not isinstance(value, bool) and -limit <= value < limit
    if isinstance(kind, sa.Float):
        # Compared, not asked whether it is finite: an integer may be too large to become a float at all.
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return -sys.float_info.max <= value <= sys.float_info.max
    if isinstance(kind, sa.String):  # Text is one too
        is_short = kind.length is None or (isinstance(value, str) and len(value) <= kind.length)
        return isinstance(value, str) and is_short and value == storable(value)
    return False


def _check_round(row: Mapping[str, Any]) -> None:
    if not _UID.fullmatch(row["uid"]):
        raise BadBackup("the backup does not fit together: a round's uid has 32 hexadecimal digits")
    if check_rules(row)["title"] != row["title"]:
        raise BadBackup("the backup does not fit together: its title has characters that no title has")


def _check_participant(row: Mapping[str, Any]) -> None:
    _check_member(row)
    if not _HASH.fullmatch(row["code_hash"]):
        raise BadBackup("the backup does not fit together: a code's hash is none")


def _check_member(row: Mapping[str, Any]) -> None:
    account, person = row.get("account"), row.get("person")
    if account is not None and not _DIGEST.fullmatch(account):
        raise BadBackup("the backup does not fit together: an account's digest is none")
    if person is not None and clean_nickname(person, NAME_CHARS) != person:
        raise BadBackup("the backup does not fit together: a name is not as it would be stored")
    nickname, limit = row["nickname"], NICKNAME_CHARS if account is None and person is None else NAME_CHARS
    if clean_nickname(nickname, limit) != nickname or skeleton(nickname) != row["skeleton"]:
        raise BadBackup("the backup does not fit together: a nickname is not as it would be stored")


def _check_submission(row: Mapping[str, Any]) -> None:
    messages, models = json.loads(row["messages"]), json.loads(row["models"])
    if not isinstance(messages, list) or not all(_is_text_map(message) for message in messages):
        raise BadBackup("the backup does not fit together: a prompt is no list of messages")
    if not isinstance(models, list) or not all(isinstance(model, str) for model in models):
        raise BadBackup("the backup does not fit together: models are a list of names")
    Generation(
        row["attempt_key"],
        row["config"],
        messages,
        row["generation_seed"],
        row["backend"],
        models,
        row["reply"],
        row["code"],
        row["tokens"],
        row["duration_ms"] / 1000,
        row.get("prompt_tokens"),
        row.get("n_calls"),
        row.get("strategy"),
        row.get("cost_usd"),
    ).to_columns()


def _is_text_map(message: object) -> bool:
    return isinstance(message, dict) and all(isinstance(value, str) for value in message.values())


def _check_final(row: Mapping[str, Any]) -> None:
    seeds = json.loads(row["seeds"])
    if not isinstance(seeds, list) or not all(_fits(sa.BigInteger(), seed) for seed in seeds) or not seeds:
        raise BadBackup("the backup does not fit together: a final has a list of seeds")
    if row["state"] not in get_args(FinalState):
        raise BadBackup("the backup does not fit together: a final is running, cancelled, capped or done")
    check_final(len(seeds), *(row.get(name) for name in ("prompt_price", "completion_price", "cost_cap")))


def _check_grade(row: Mapping[str, Any]) -> None:
    report = json.loads(row["report"])
    again = Report.from_dict(report).to_dict()
    has_texts = all(isinstance(report[name], str) for name in ("letter", "challenge")) and all(
        isinstance(note, str) for note in again["notes"]
    )
    has_numbers = all(_fits(sa.Double(), report[name]) for name in ("score", "max_score", "percentage"))
    if not has_texts or not has_numbers or report["checks"] != again["checks"]:
        raise BadBackup("the backup does not fit together: a report is not one of the grader")
    for case in (case for check in again["checks"] for case in check["cases"]):
        if not all(isinstance(case[name], str) for name in ("name", "status", "input", "got", "expected")):
            raise BadBackup("the backup does not fit together: a report's case is not one of the grader")
    if not 0 <= row["score"] <= row["max_score"] <= MAX_POINTS:
        raise BadBackup(f"the backup does not fit together: a grade is 0 to its maximum of {MAX_POINTS:,}")


_MEANING: dict[type[Base], Callable[[Mapping[str, Any]], None]] = {
    RoundRow: _check_round,
    ParticipantRow: _check_participant,
    MemberRow: _check_member,
    SubmissionRow: _check_submission,
    GradeRow: _check_grade,
    FinalRow: _check_final,
    FinalRunRow: _check_grade,
}
