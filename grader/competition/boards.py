"""Leaderboards. Each is one query over the submissions and their current grades; nothing is kept beside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from grader.competition.database import Database
from grader.competition.models import GradeRow, ParticipantRow, RoundRow, SubmissionRow
from grader.competition.submissions import with_current_grade

Kind = Literal["best", "lowest", "improved", "thrifty"]
KINDS: tuple[Kind, ...] = ("best", "lowest", "improved", "thrifty")


@dataclass(frozen=True)
class BoardRow:
    """One line of a board.

    value: what the board ranks by: the score (best, lowest), points gained between the first and the best
    submission (improved), or points per thousand generated tokens (thrifty). score, tokens, created_ms:
    those of the submission that counts.
    """

    place: int
    participant_id: int
    number: int
    nickname: str
    value: float
    score: float
    tokens: int
    created_ms: int
    submission_id: int
    n_submissions: int


class Boards:
    """The leaderboards of all rounds. Thread-safe. Raises StoreError when the database fails."""

    def __init__(self, database: Database, clock: Callable[[], int]) -> None:
        self._database = database
        self._clock = clock

    def board(
        self,
        round_id: int,
        kind: Kind = "best",
        *,
        until_ms: int | None = None,
        max_tokens: int | None = None,
    ) -> list[BoardRow]:
        """The board of a round, best place first; disqualified participants are left out.

        Each participant stands there once, with the submission that counts most. Ties: the earlier
        submission, then the one with fewer generated tokens. until_ms: later submissions do not count.
        max_tokens: nor do those that wrote more. Practice before the round opened counts only until it has.
        """
        counted = _Counted(round_id, self._clock(), until_ms, max_tokens)
        with self._database.reading() as connection:
            return [BoardRow(**row._mapping) for row in connection.execute(_query(kind, counted))]


@dataclass(frozen=True)
class _Counted:
    """Which submissions count on a board."""

    round_id: int
    now_ms: int
    until_ms: int | None = None
    max_tokens: int | None = None

    @property
    def condition(self) -> sa.ColumnElement[bool]:
        """Practice is forgotten when the round has opened."""
        is_practice = sa.and_(
            RoundRow.has_practice,
            RoundRow.opens_ms.is_not(None),
            RoundRow.opens_ms <= self.now_ms,
            SubmissionRow.created_ms < RoundRow.opens_ms,
        )
        found = [SubmissionRow.round_id == self.round_id, sa.not_(sa.func.coalesce(is_practice, sa.false()))]
        if self.until_ms is not None:
            found.append(SubmissionRow.created_ms <= self.until_ms)
        if self.max_tokens is not None:
            found.append(SubmissionRow.tokens <= self.max_tokens)
        return sa.and_(*found)


def best_submissions(round_id: int, now_ms: int) -> sa.Select[Any]:
    """A query for the best board of a round, for whoever has a connection already."""
    return _query("best", _Counted(round_id, now_ms))


def _query(kind: Kind, which: _Counted) -> sa.Select[Any]:
    graded = _graded(which).cte("graded")
    value, condition = _value(graded, kind)
    order = value.asc() if kind == "lowest" else value.desc()
    ties = (graded.c.created_ms, graded.c.tokens, graded.c.submission_id)
    within = sa.func.row_number().over(partition_by=graded.c.participant_id, order_by=(order, *ties))
    counted = sa.select(graded, value.label("value"), within.label("nth")).where(condition).cte("counted")
    best = counted.c.value.asc() if kind == "lowest" else counted.c.value.desc()
    ranking = (best, counted.c.created_ms, counted.c.tokens, counted.c.submission_id)
    columns = [counted.c[name] for name in BoardRow.__dataclass_fields__ if name != "place"]
    place = sa.func.row_number().over(order_by=ranking).label("place")
    return sa.select(place, *columns).where(counted.c.nth == 1).order_by(place)


def _value(graded: sa.CTE, kind: Kind) -> tuple[sa.ColumnElement[Any], sa.ColumnElement[bool]]:
    """What a submission is worth on this board, and whether it counts there."""
    if kind == "improved":
        return graded.c.score - graded.c.first_score, graded.c.score > graded.c.first_score
    if kind == "thrifty":
        per_thousand = graded.c.score * 1000.0 / sa.func.nullif(graded.c.tokens, 0)
        return per_thousand, sa.and_(graded.c.tokens > 0, graded.c.score > 0)
    return graded.c.score, sa.true()


def _graded(which: _Counted) -> sa.Select[Any]:
    """Every submission that counts, with its participant's first score and number of submissions."""
    whose = SubmissionRow.participant_id
    in_time = (SubmissionRow.created_ms, SubmissionRow.id)
    return (
        with_current_grade(
            SubmissionRow.id.label("submission_id"),
            SubmissionRow.participant_id,
            ParticipantRow.number,
            ParticipantRow.nickname,
            SubmissionRow.created_ms,
            SubmissionRow.tokens,
            GradeRow.score,
            sa.func.first_value(GradeRow.score)
            .over(partition_by=whose, order_by=in_time)
            .label("first_score"),
            sa.func.count().over(partition_by=whose).label("n_submissions"),
        )
        .join(ParticipantRow, ParticipantRow.id == SubmissionRow.participant_id)
        .join(RoundRow, RoundRow.id == SubmissionRow.round_id)
        .where(which.condition, GradeRow.id.is_not(None), ParticipantRow.disqualified_ms.is_(None))
    )
