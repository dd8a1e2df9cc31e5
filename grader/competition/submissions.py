"""Submissions and their grades: only ever added, never changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import aliased

from grader.competition.budgets import use_of
from grader.competition.database import Database
from grader.competition.errors import Disqualified, NotFound, NotOpen, OverBudget, TooMany, TooSoon
from grader.competition.limits import Limits
from grader.competition.models import GradeRow, RoundRow, SubmissionRow
from grader.competition.participants import find_participant
from grader.competition.records import (
    Generation,
    GradingJob,
    Participant,
    Provenance,
    Round,
    Submission,
    storable,
)
from grader.competition.rounds import find_round
from grader.words import count

_LATER = aliased(GradeRow)
_SUMMARY = (
    SubmissionRow.id,
    SubmissionRow.round_id,
    SubmissionRow.participant_id,
    SubmissionRow.created_ms,
    SubmissionRow.tokens,
    SubmissionRow.duration_ms,
    SubmissionRow.cost_usd,
    GradeRow.score,
    GradeRow.max_score,
    GradeRow.id.label("grade_id"),
)
_MINUTE_MS = 60_000
NEAR = 100
"""So near the rate of a whole round submissions take turns: even at the same instant none is too many."""
_ROUND_LOCK = 770_002  # any number that nothing else in the database uses


def with_current_grade(*columns: Any) -> sa.Select[Any]:
    """A query over submissions and the grade of each that no other supersedes; NULLs where there is none."""
    is_superseded = sa.exists().where(_LATER.supersedes_id == GradeRow.id)
    current = sa.and_(GradeRow.submission_id == SubmissionRow.id, ~is_superseded)
    return sa.select(*columns).select_from(SubmissionRow).outerjoin(GradeRow, current)


# What submitting runs while others wait for their turn to write, built once.
_WHOSE = SubmissionRow.participant_id == sa.bindparam("whose", type_=sa.Integer)
# What is more than a minute ahead was stored before the server's clock was set back: it holds nobody up.
_PAST = SubmissionRow.created_ms <= sa.bindparam("until_ms", type_=sa.BigInteger)
_RECENT = sa.and_(SubmissionRow.created_ms > sa.bindparam("since_ms", type_=sa.BigInteger), _PAST)
_SENT = with_current_grade(*_SUMMARY).where(
    _WHOSE, SubmissionRow.attempt_key == sa.bindparam("key", type_=sa.String)
)
_IN_ROUND = sa.select(sa.func.count()).where(
    SubmissionRow.round_id == sa.bindparam("round_id", type_=sa.Integer), _RECENT
)
_COUNTS = sa.select(
    sa.func.count().filter(
        SubmissionRow.created_ms >= sa.bindparam("opens_ms", type_=sa.BigInteger)  # practice is not counted
    ),
    sa.func.max(SubmissionRow.created_ms).filter(_PAST),
    sa.func.count().filter(_RECENT),
    sa.func.min(SubmissionRow.created_ms).filter(_RECENT),
    _IN_ROUND.correlate(None).scalar_subquery(),
).where(_WHOSE)
_TAKE_TURN = sa.text("SELECT pg_advisory_xact_lock(:key, :round_id)")
_ADD = sa.insert(SubmissionRow).returning(SubmissionRow.id)


class Submissions:
    """The submissions of all rounds. Thread-safe. Everything raises StoreError when the database fails."""

    def __init__(self, database: Database, limits: Limits, clock: Callable[[], int]) -> None:
        self._database = database
        self._limits = limits
        self._clock = clock

    def add(self, participant_id: int, generation: Generation) -> Submission:
        """Store a generation; when this returns, it is on the disk. Grading is another step.

        What decides whether it was in time is the moment of the call, on the server's clock, however long it
        then waits for its turn to be written.

        Sending the same attempt again returns what was stored the first time, whatever the rules say by then.
        Raises TooLarge, NotASubmission, Disqualified, NotOpen, TooMany, TooSoon, NotFound.
        """
        now = self._clock()
        columns = generation.to_columns()
        with self._database.writing() as connection:
            participant = find_participant(connection, participant_id, lock=True)
            key = generation.attempt_key
            stored = connection.execute(_SENT, {"whose": participant_id, "key": key}).one_or_none()
            if stored is not None:
                return Submission(**stored._mapping)
            rules = find_round(connection, participant.round_id)
            self._check_rules(connection, participant, rules, now)
            _check_budget(connection, participant_id, rules, columns)
            columns |= {
                "round_id": participant.round_id,
                "participant_id": participant_id,
                "created_ms": now,
            }
            submission_id: int = connection.execute(_ADD, columns).scalar_one()
        return Submission(
            submission_id,
            participant.round_id,
            participant_id,
            now,
            columns["tokens"],
            columns["duration_ms"],
            columns["cost_usd"],
            None,
            None,
            None,
        )

    def _check_rules(
        self, connection: sa.Connection, participant: Participant, rules: Round, now: int
    ) -> None:
        if participant.is_disqualified:
            raise Disqualified(participant.disqualified_reason or "")
        state = rules.state(now)
        if state != "open" and not rules.takes_practice(now):
            if state == "closed" and rules.closes_ms is not None:
                late_s = (now - rules.closes_ms) / 1000
                raise NotOpen(f"this round is over; the submission came {late_s:,.1f} s after its end")
            raise NotOpen("this round has not begun; nothing can be submitted now")
        given = {
            "whose": participant.id,
            "round_id": rules.id,
            "since_ms": now - _MINUTE_MS,
            "until_ms": now + _MINUTE_MS,
        }
        given["opens_ms"] = rules.opens_ms or 0 if rules.has_practice and state == "open" else 0
        counted = connection.execute(_COUNTS, given).one()
        n_mine, last_ms, n_recent, oldest_ms, n_in_round = counted
        if rules.submission_limit is not None and n_mine >= rules.submission_limit:
            raise TooMany(rules.submission_limit)
        if last_ms is not None and now - last_ms < rules.cooldown_s * 1000:
            wait_s = rules.cooldown_s - (now - last_ms) / 1000
            raise TooSoon(wait_s, f"this round has a pause of {rules.cooldown_s} s between two submissions")
        most = self._limits.submissions_per_participant_per_minute
        if n_recent >= most:
            raise TooSoon(
                (oldest_ms + _MINUTE_MS - now) / 1000, f"at most {count(most, 'submission')} a minute"
            )
        most = self._limits.submissions_per_round_per_minute
        if n_in_round >= most - NEAR:
            if not self._database.is_sqlite:
                connection.execute(_TAKE_TURN, {"key": _ROUND_LOCK, "round_id": rules.id})
                n_in_round = connection.execute(_IN_ROUND, given).scalar_one()
            if n_in_round >= most:
                raise TooSoon(10, "the whole class is submitting right now")

    def of_participant(self, participant_id: int) -> list[Submission]:
        """Somebody's submissions with their current grades, the oldest first."""
        return self._list(SubmissionRow.participant_id == participant_id)

    def of_round(self, round_id: int) -> list[Submission]:
        """A round's submissions with their current grades, the oldest first."""
        return self._list(SubmissionRow.round_id == round_id)

    def _list(self, condition: sa.ColumnElement[bool]) -> list[Submission]:
        query = with_current_grade(*_SUMMARY).where(condition)
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(SubmissionRow.created_ms, SubmissionRow.id))
            return [Submission(**row._mapping) for row in rows]

    def provenance(self, submission_id: int) -> Provenance:
        """How a submission came about. Raises NotFound."""
        columns = (SubmissionRow.__table__, GradeRow.report)
        with self._database.reading() as connection:
            query = with_current_grade(*columns).where(SubmissionRow.id == submission_id)
            row = connection.execute(query).one_or_none()
        if row is None:
            raise NotFound("submission", submission_id)
        return Provenance(
            row.id,
            row.participant_id,
            row.config,
            tuple(json.loads(row.messages)),
            row.generation_seed,
            row.backend,
            tuple(json.loads(row.models)),
            row.reply,
            row.code,
            None if row.report is None else json.loads(row.report),
        )

    def waiting(self, round_id: int | None = None, *, again: bool = False) -> list[GradingJob]:
        """The submissions without a grade, the oldest first; again: all of them, for a regrade."""
        query = with_current_grade(
            SubmissionRow.id.label("submission_id"),
            SubmissionRow.participant_id,
            SubmissionRow.round_id,
            SubmissionRow.code,
            RoundRow.challenge,
            RoundRow.seed,
            GradeRow.id.label("supersedes_id"),
        ).join(RoundRow, RoundRow.id == SubmissionRow.round_id)
        if not again:
            query = query.where(GradeRow.id.is_(None))
        if round_id is not None:
            query = query.where(SubmissionRow.round_id == round_id)
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(SubmissionRow.created_ms, SubmissionRow.id))
            return [GradingJob(**row._mapping) for row in rows]

    def add_grade(self, job: GradingJob, report: Mapping[str, Any], duration_s: float) -> bool:
        """Store a grade that supersedes the one `job` names; False when another was faster or it is gone."""
        values = {
            "submission_id": job.submission_id,
            "supersedes_id": job.supersedes_id,
            "created_ms": self._clock(),
            "seed": job.seed,
            "score": float(report["score"]),
            "max_score": float(report["max_score"]),
            "report": storable(json.dumps(report, ensure_ascii=False)),
            "duration_ms": round(duration_s * 1000),
        }
        try:
            with self._database.writing() as connection:
                connection.execute(sa.insert(GradeRow).values(values))
        except IntegrityError:
            return False
        return True


def _check_budget(
    connection: sa.Connection, participant_id: int, rules: Round, columns: Mapping[str, Any]
) -> None:
    """Raise OverBudget when this attempt, or with it all that somebody has submitted, is too much."""
    budget = rules.limits
    spent = sa.select(
        sa.func.coalesce(sa.func.sum(SubmissionRow.prompt_tokens), 0),
        sa.func.coalesce(sa.func.sum(SubmissionRow.tokens), 0),
    ).where(SubmissionRow.participant_id == participant_id)
    dollars = 0.0
    if budget.dollars is not None:
        prompt_tokens, tokens = connection.execute(spent).one()
        read = int(prompt_tokens or 0) + (columns["prompt_tokens"] or 0)
        dollars = budget.cost(read, int(tokens or 0) + columns["tokens"])
    problems = budget.problems(use_of(columns, dollars))
    if problems:
        raise OverBudget(problems)
