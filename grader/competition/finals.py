"""Finals: each participant's chosen setups run on fresh seeds that nobody has seen, and the mean ranks them.

A public board ranks who drew most: one setup scores differently on every seed, and people try as often as
they like. A final is started when the round is closed. Which setups take part, and on which seeds, is fixed
in the same transaction. Every finished run is one row, so a final that was interrupted goes on where it was.
A process that runs a final holds a lease on it and renews it; only the holder of the lease can add runs, and
there is room for one row per entry and seed, so nothing is counted twice.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from grader.competition.boards import best_submissions
from grader.competition.database import Database
from grader.competition.errors import NotFound, NotOpen, Refused
from grader.competition.limits import FINAL_RUNS, MAX_FINAL_RUNS, PICKS
from grader.competition.models import (
    FinalEntryRow,
    FinalRow,
    FinalRunRow,
    PickRow,
    RoundRow,
    SubmissionRow,
)
from grader.competition.participants import find_participant
from grader.competition.records import Final, FinalJob, FinalState, SetupRun, storable
from grader.competition.rounds import MAX_SEED, find_round

_FINAL = tuple(FinalRow.__table__.c[name] for name in Final.__dataclass_fields__)
_RUN_OF = FinalRunRow.entry_id == FinalEntryRow.id


@dataclass(frozen=True)
class Estimate:
    """What a final would take, from what the submissions took. dollars: 0 where tokens cost nothing.

    n_unknown: submissions whose prompt tokens were not kept; they count as if they had read nothing.
    seconds: of all runs one after another.
    """

    n_entries: int
    n_runs: int
    prompt_tokens: int
    tokens: int
    seconds: float
    dollars: float
    n_unknown: int


@dataclass(frozen=True)
class Progress:
    """How far a final is. n_failed: runs that wrote nothing; they have 0 points until tried again."""

    n_runs: int
    n_done: int
    n_failed: int
    prompt_tokens: int
    tokens: int
    dollars: float


class Finals:
    """The finals of all rounds. Thread-safe. Everything raises StoreError when the database fails."""

    def __init__(self, database: Database, clock: Callable[[], int]) -> None:
        self._database = database
        self._clock = clock

    # --- what participants choose ---

    def pick(self, participant_id: int, submission_ids: Sequence[int]) -> None:
        """Choose which own submissions run in the final; none: the best one.

        Raises Refused for more than two and for somebody else's, and NotOpen from the start of a final on,
        unless the newest was cancelled: then they count for the next one, not if that one goes on.
        """
        chosen = sorted(set(submission_ids))
        if len(chosen) > PICKS:
            raise Refused(f"at most {PICKS} submissions can be picked for the final")
        with self._database.writing() as connection:
            who = find_participant(connection, participant_id, lock=True)
            states = sa.select(FinalRow.state).where(FinalRow.round_id == who.round_id)
            newest = connection.execute(states.order_by(FinalRow.id.desc()).limit(1)).scalar_one_or_none()
            if newest not in (None, "cancelled"):
                raise NotOpen("the final has been started; what takes part in it is fixed")
            mine = sa.select(sa.func.count()).where(
                SubmissionRow.participant_id == participant_id, SubmissionRow.id.in_(chosen)
            )
            if connection.execute(mine).scalar_one() != len(chosen):
                raise Refused("only your own submissions can be picked for the final")
            connection.execute(sa.delete(PickRow).where(PickRow.participant_id == participant_id))
            for submission_id in chosen:
                values = {"participant_id": participant_id, "submission_id": submission_id}
                connection.execute(sa.insert(PickRow).values(values))

    def picks(self, participant_id: int) -> list[int]:
        """The submissions that somebody has picked."""
        query = sa.select(PickRow.submission_id).where(PickRow.participant_id == participant_id)
        with self._database.reading() as connection:
            return list(connection.execute(query.order_by(PickRow.submission_id)).scalars())

    # --- what the host does ---

    def estimate(
        self,
        round_id: int,
        n_seeds: int = FINAL_RUNS,
        prompt_price: float | None = None,
        completion_price: float | None = None,
    ) -> Estimate:
        """What a final of the round as it stands would take. Prices: dollars per million tokens."""
        with self._database.reading() as connection:
            entries = _choose(connection, find_round(connection, round_id).id, self._clock())
            rows = _submissions(connection, [submission_id for _, submission_id in entries])
        prompt_tokens = n_seeds * sum(row.prompt_tokens or 0 for row in rows)
        tokens = n_seeds * sum(row.tokens for row in rows)
        dollars = (prompt_tokens * (prompt_price or 0) + tokens * (completion_price or 0)) / 1_000_000
        seconds = n_seeds * sum(row.duration_ms for row in rows) / 1000
        n_unknown = sum(row.prompt_tokens is None for row in rows)
        return Estimate(len(rows), len(rows) * n_seeds, prompt_tokens, tokens, seconds, dollars, n_unknown)

    def start(
        self,
        round_id: int,
        n_seeds: int = FINAL_RUNS,
        prompt_price: float | None = None,
        completion_price: float | None = None,
        cost_cap: float | None = None,
    ) -> Final:
        """Fix who takes part and draw the seeds. Raises NotOpen while the round is open, Refused.

        A round has one final at a time; a new one can be started when the last one is done or cancelled.
        """
        check_final(n_seeds, prompt_price, completion_price, cost_cap)
        now = self._clock()
        with self._database.writing() as connection:
            if find_round(connection, round_id, lock=True).state(now) != "closed":
                raise NotOpen("a final is started when the round is closed")
            unended = FinalRow.state.in_(("running", "capped"))
            there = sa.select(FinalRow.id).where(FinalRow.round_id == round_id, unended)
            if connection.execute(there).first():
                raise Refused("this round has a final that has not ended; cancel it first")
            entries = _choose(connection, round_id, now)
            if not entries:
                raise Refused("nobody has a graded submission, so there is nothing to run")
            drawn: set[int] = set()
            while len(drawn) < n_seeds:
                drawn.add(secrets.randbelow(MAX_SEED))
            values = {
                "round_id": round_id,
                "seeds": json.dumps(sorted(drawn)),
                "state": "running",
                "prompt_price": prompt_price,
                "completion_price": completion_price,
                "cost_cap": cost_cap,
                "created_ms": now,
            }
            row = connection.execute(sa.insert(FinalRow).values(values).returning(*_FINAL)).one()
            for participant_id, submission_id in entries:
                entry = {"final_id": row.id, "participant_id": participant_id, "submission_id": submission_id}
                connection.execute(sa.insert(FinalEntryRow).values(entry))
        return _final(row)

    def cancel(self, final_id: int) -> Final:
        """Stop it; what has been run is kept, and it can go on."""
        return self._change(final_id, {"state": "cancelled", "ended_ms": self._clock()})

    def resume(self, final_id: int, cost_cap: float | None = None) -> Final:
        """Go on with a cancelled or capped final. cost_cap: the new one; None: as it was."""
        cap = {} if cost_cap is None else {"cost_cap": cost_cap}
        return self._change(final_id, {"state": "running", "ended_ms": None, **cap})

    def retry_failed(self, final_id: int) -> Final:
        """Run again what wrote nothing."""
        entries = sa.select(FinalEntryRow.id).where(FinalEntryRow.final_id == final_id)
        failed = sa.delete(FinalRunRow).where(FinalRunRow.entry_id.in_(entries), FinalRunRow.problem != "")
        with self._database.writing() as connection:
            connection.execute(failed)
        return self.resume(final_id)

    def release(self, final_id: int, *, released: bool) -> Final:
        """Show the standings to everybody, or hide them again."""
        return self._change(final_id, {"released_ms": self._clock() if released else None})

    def of_round(self, round_id: int) -> list[Final]:
        """The round's finals, the newest first."""
        return self._list(FinalRow.round_id == round_id)

    def get(self, final_id: int) -> Final:
        """Raises NotFound."""
        with self._database.reading() as connection:
            return _find(connection, final_id)

    def progress(self, final_id: int) -> Progress:
        """How far it is, and what it has cost."""
        with self._database.reading() as connection:
            return _progress(connection, _find(connection, final_id))

    # --- what a runner does ---

    def running(self) -> list[Final]:
        """The finals that have to be run, the oldest first."""
        return self._list(FinalRow.state == "running")[::-1]

    def take_lease(self, final_id: int, owner: str, lease_s: float) -> FinalState | None:
        """Become, or stay, the process that runs it; None while another one is. Returns the final's state."""
        now = self._clock()
        is_free = sa.or_(
            FinalRow.lease_owner.is_(None),
            FinalRow.lease_owner == owner,
            FinalRow.lease_until_ms < now,
            FinalRow.lease_until_ms > now + 2 * round(lease_s * 1000),  # the clock was set back since
        )
        statement = sa.update(FinalRow).where(FinalRow.id == final_id, is_free)
        values = {"lease_owner": owner, "lease_until_ms": now + round(lease_s * 1000)}
        with self._database.writing() as connection:
            taken = connection.execute(statement.values(values).returning(FinalRow.state)).one_or_none()
        return None if taken is None else taken.state

    def pending(self, final_id: int) -> list[FinalJob]:
        """The runs that are missing: everybody's first seed, then everybody's second, and so on."""
        with self._database.reading() as connection:
            found = _find(connection, final_id)
            rows = connection.execute(_entries(final_id)).all()
            done = sa.select(FinalRunRow.entry_id, FinalRunRow.number).join(FinalEntryRow, _RUN_OF)
            there = {tuple(row) for row in connection.execute(done.where(FinalEntryRow.final_id == final_id))}
        return [
            FinalJob(
                final_id,
                row.id,
                number,
                seed,
                row.challenge,
                row.config,
                tuple(json.loads(row.messages)),
                row.prompt_tokens or 0,
                row.tokens,
            )
            for number, seed in enumerate(found.seeds)
            for row in rows
            if (row.id, number) not in there
        ]

    def record(self, job: FinalJob, owner: str, run: SetupRun, code: str, report: Mapping[str, Any]) -> bool:
        """Store a run and its grade; False when the lease is another's by now, or the run is there."""
        values = {
            "entry_id": job.entry_id,
            "number": job.number,
            "seed": job.seed,
            "created_ms": self._clock(),
            "reply": storable(run.reply),
            "code": storable(code),
            "score": float(report["score"]),
            "max_score": float(report["max_score"]),
            "report": storable(json.dumps(report, ensure_ascii=False)),
            "problem": storable(run.problem)[:500],
            "prompt_tokens": run.prompt_tokens,
            "tokens": run.tokens,
            "duration_ms": round(run.duration_s * 1000),
        }
        mine = sa.select(FinalRow.id).where(FinalRow.id == job.final_id, FinalRow.lease_owner == owner)
        try:
            with self._database.writing() as connection:
                if connection.execute(mine.with_for_update()).first() is None:
                    return False
                connection.execute(sa.insert(FinalRunRow).values(values))
        except IntegrityError:
            return False
        return True

    def end(self, final_id: int, owner: str, state: FinalState) -> None:
        """Say how running it ended, unless the host said otherwise meanwhile; give the lease back."""
        ended = {"state": state, "ended_ms": self._clock()}
        mine = sa.and_(FinalRow.id == final_id, FinalRow.lease_owner == owner)
        free = {"lease_owner": None, "lease_until_ms": None}
        with self._database.writing() as connection:
            is_running = sa.and_(mine, FinalRow.state == "running")
            if state != "running":
                connection.execute(sa.update(FinalRow).where(is_running).values(ended))
            connection.execute(sa.update(FinalRow).where(mine).values(free))

    def _change(self, final_id: int, values: dict[str, Any]) -> Final:
        statement = sa.update(FinalRow).where(FinalRow.id == final_id).values(values).returning(*_FINAL)
        with self._database.writing() as connection:
            row = connection.execute(statement).one_or_none()
        if row is None:
            raise NotFound("final", final_id)
        return _final(row)

    def _list(self, condition: sa.ColumnElement[bool]) -> list[Final]:
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(*_FINAL).where(condition).order_by(FinalRow.id.desc()))
            return [_final(row) for row in rows]


def check_final(
    n_seeds: int, prompt_price: float | None, completion_price: float | None, cost_cap: float | None
) -> None:
    """Raise Refused for what no final can be started with."""
    if not 1 <= n_seeds <= MAX_FINAL_RUNS:
        raise Refused(f"a final has 1 to {MAX_FINAL_RUNS} seeds; this one has {n_seeds}")
    for price in (prompt_price, completion_price, cost_cap):
        if price is not None and not 0 <= price < 1e9:
            raise Refused("prices and caps are not negative")
    if cost_cap is not None and prompt_price is None and completion_price is None:
        raise Refused("a cap needs the price of a million tokens")


def _choose(connection: sa.Connection, round_id: int, now_ms: int) -> list[tuple[int, int]]:
    """(participant, submission) of everybody who is not disqualified: what they picked, else their best."""
    best = {
        row.participant_id: [row.submission_id]
        for row in connection.execute(best_submissions(round_id, now_ms))
    }
    query = (
        sa.select(PickRow.participant_id, PickRow.submission_id)
        .join(SubmissionRow, SubmissionRow.id == PickRow.submission_id)
        .where(SubmissionRow.round_id == round_id)
        .order_by(PickRow.submission_id)
    )
    picked: dict[int, list[int]] = {}
    for row in connection.execute(query):
        picked.setdefault(row.participant_id, []).append(row.submission_id)
    chosen = {who: picked.get(who, mine) for who, mine in best.items()}
    return [(who, submission_id) for who, mine in sorted(chosen.items()) for submission_id in mine]


def _submissions(connection: sa.Connection, ids: Sequence[int]) -> Sequence[sa.Row[Any]]:
    columns: tuple[Any, ...] = (SubmissionRow.prompt_tokens, SubmissionRow.tokens, SubmissionRow.duration_ms)
    query = sa.select(*columns).where(SubmissionRow.id.in_(ids))
    return connection.execute(query).all()


def _entries(final_id: int) -> sa.Select[Any]:
    columns: tuple[Any, ...] = (
        FinalEntryRow.id,
        SubmissionRow.config,
        SubmissionRow.messages,
        SubmissionRow.prompt_tokens,
        SubmissionRow.tokens,
        RoundRow.challenge,
    )
    joined: sa.Select[Any] = sa.select(*columns).join(
        SubmissionRow, SubmissionRow.id == FinalEntryRow.submission_id
    )
    joined = joined.join(RoundRow, RoundRow.id == SubmissionRow.round_id)
    return joined.where(FinalEntryRow.final_id == final_id).order_by(FinalEntryRow.id)


def _progress(connection: sa.Connection, found: Final) -> Progress:
    of_final = FinalEntryRow.final_id == found.id
    n_entries = connection.execute(sa.select(sa.func.count()).where(of_final)).scalar_one()
    query = sa.select(
        sa.func.count(),
        sa.func.count().filter(FinalRunRow.problem != ""),
        sa.func.coalesce(sa.func.sum(FinalRunRow.prompt_tokens), 0),
        sa.func.coalesce(sa.func.sum(FinalRunRow.tokens), 0),
    ).join(FinalEntryRow, _RUN_OF)
    n_done, n_failed, prompt_tokens, tokens = connection.execute(query.where(of_final)).one()
    n_runs = n_entries * len(found.seeds)
    cost = found.cost(prompt_tokens, tokens)
    return Progress(n_runs, n_done, n_failed, int(prompt_tokens), int(tokens), cost)


def _find(connection: sa.Connection, final_id: int) -> Final:
    row = connection.execute(sa.select(*_FINAL).where(FinalRow.id == final_id)).one_or_none()
    if row is None:
        raise NotFound("final", final_id)
    return _final(row)


def _final(row: sa.Row[Any]) -> Final:
    return Final(**{**row._mapping, "seeds": tuple(json.loads(row.seeds))})
