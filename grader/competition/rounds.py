"""Rounds: made, opened, closed, extended, frozen, deleted by the host."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa

from grader.competition.database import Database
from grader.competition.errors import NotFound, Refused
from grader.competition.limits import TITLE_CHARS
from grader.competition.models import (
    FinalEntryRow,
    FinalRow,
    FinalRunRow,
    GradeRow,
    ParticipantRow,
    PickRow,
    RoundRow,
    SubmissionRow,
)
from grader.competition.records import VISIBILITIES, Round, Visibility
from grader.errors import GraderError
from grader.grading.registry import challenge as find_challenge

MAX_SEED = 2**31 - 1
LATEST_MS = 253_370_764_800_000
"""The year 9999 begins: no calendar goes on."""

# Built once: submitting runs it while others wait for their turn to write.
_ONE = sa.select(RoundRow.__table__).where(RoundRow.id == sa.bindparam("round_id"))
_ONE_LOCKED = _ONE.with_for_update()


class Rounds:
    """The rounds of a database. Thread-safe. Everything raises StoreError when the database fails."""

    def __init__(self, database: Database, clock: Callable[[], int]) -> None:
        self._database = database
        self._clock = clock

    def create(
        self,
        title: str,
        challenge: str,
        *,
        seed: int | None = None,
        opens_ms: int | None = None,
        closes_ms: int | None = None,
        submission_limit: int | None = None,
        cooldown_s: int = 0,
        visibility: Visibility = "everyone",
    ) -> Round:
        """A new round; without `opens_ms` it waits to be opened. seed None: one is drawn.

        Raises Refused for values that make no round, UnknownChallenge for the name of none.
        """
        values = check_rules(
            {
                "title": title,
                "challenge": challenge,
                "seed": secrets.randbelow(MAX_SEED) if seed is None else seed,
                "opens_ms": opens_ms,
                "closes_ms": closes_ms,
                "submission_limit": submission_limit,
                "cooldown_s": cooldown_s,
                "visibility": visibility,
            }
        )
        values |= {"uid": uuid.uuid4().hex, "created_ms": self._clock()}
        with self._database.writing() as connection:
            made = connection.execute(sa.insert(RoundRow).values(values).returning(RoundRow.__table__))
            return Round(**made.one()._mapping)

    def all(self) -> list[Round]:
        """Every round, the newest first."""
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(RoundRow.__table__).order_by(RoundRow.id.desc()))
            return [Round(**row._mapping) for row in rows]

    def get(self, round_id: int) -> Round:
        """Raises NotFound."""
        with self._database.reading() as connection:
            return find_round(connection, round_id)

    def open(self, round_id: int) -> Round:
        """Open it now; a round that was closed opens again, without an end."""
        now = self._clock()

        def change(found: Round) -> dict[str, Any]:
            closes_ms = None if found.state(now) == "closed" else found.closes_ms
            return {"opens_ms": now, "closes_ms": closes_ms}

        return self._change(round_id, change)

    def close(self, round_id: int) -> Round:
        """Close it now."""
        now = self._clock()
        return self._change(
            round_id, lambda found: {"closes_ms": now, "opens_ms": min(found.opens_ms or now, now)}
        )

    def extend(self, round_id: int, seconds: int) -> Round:
        """Let it run `seconds` longer; counted from now when it is closed or has no end."""
        now = self._clock()

        def change(found: Round) -> dict[str, Any]:
            return {"closes_ms": max(found.closes_ms or now, now) + seconds * 1000}

        return self._change(round_id, change)

    def freeze(self, round_id: int) -> Round:
        """What is submitted from now on moves nobody's board but the host's."""
        now = self._clock()
        return self._change(round_id, lambda found: {"frozen_ms": found.frozen_ms or now})

    def unfreeze(self, round_id: int) -> Round:
        """Show everything again."""
        return self._change(round_id, lambda found: {"frozen_ms": None})

    def hide_names(self, round_id: int, hidden: bool) -> Round:
        """Show numbers instead of nicknames to everybody but the host, or the nicknames again."""
        return self._change(round_id, lambda found: {"has_hidden_names": hidden})

    def set_visibility(self, round_id: int, visibility: Visibility) -> Round:
        """Who sees scores before the round is closed."""
        return self._change(round_id, lambda found: {"visibility": visibility})

    def delete(self, round_id: int) -> None:
        """Delete the round with everybody and everything in it."""
        with self._database.writing() as connection:
            found = find_round(connection, round_id)
            of_round = sa.select(SubmissionRow.id).where(SubmissionRow.round_id == found.id)
            finals = sa.select(FinalRow.id).where(FinalRow.round_id == found.id)
            entries = sa.select(FinalEntryRow.id).where(FinalEntryRow.final_id.in_(finals))
            connection.execute(sa.delete(FinalRunRow).where(FinalRunRow.entry_id.in_(entries)))
            connection.execute(sa.delete(FinalEntryRow).where(FinalEntryRow.final_id.in_(finals)))
            connection.execute(sa.delete(FinalRow).where(FinalRow.round_id == found.id))
            connection.execute(sa.delete(PickRow).where(PickRow.submission_id.in_(of_round)))
            # Grades first, newest first where one names another: cascades would do one row at a time.
            connection.execute(sa.delete(GradeRow).where(GradeRow.submission_id.in_(of_round)))
            connection.execute(sa.delete(SubmissionRow).where(SubmissionRow.round_id == found.id))
            connection.execute(sa.delete(ParticipantRow).where(ParticipantRow.round_id == found.id))
            connection.execute(sa.delete(RoundRow).where(RoundRow.id == found.id))

    def _change(self, round_id: int, change: Callable[[Round], dict[str, Any]]) -> Round:
        with self._database.writing() as connection:
            values = change(find_round(connection, round_id, lock=True))
            statement = sa.update(RoundRow).where(RoundRow.id == round_id).values(values)
            row = connection.execute(statement.returning(RoundRow.__table__)).one()
            return Round(**row._mapping)


def check_rules(values: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a round that somebody chose, as they are stored; a title is trimmed.

    Raises Refused for values that make no round, UnknownChallenge for the name of none.
    """
    title = " ".join("".join(c if c.isprintable() else " " for c in values["title"]).split())
    opens_ms, closes_ms = values["opens_ms"], values["closes_ms"]
    limit, cooldown_s, seed = values["submission_limit"], values["cooldown_s"], values["seed"]
    if not 0 < len(title) <= TITLE_CHARS:
        raise Refused(f"a round's title has 1 to {TITLE_CHARS} characters; this one has {len(title)}")
    if opens_ms is not None and closes_ms is not None and closes_ms < opens_ms:
        raise Refused("a round does not close before it opens")
    if not all(at_ms is None or 0 <= at_ms <= LATEST_MS for at_ms in (opens_ms, closes_ms)):
        raise Refused("a round opens and closes between the years 1970 and 9999")
    if limit is not None and limit < 1:
        raise Refused(f"a submission limit is at least 1; this one is {limit}")
    if not 0 <= cooldown_s <= 86_400:
        raise Refused(f"a cooldown has 0 to 86,400 s; this one has {cooldown_s}")
    if values["visibility"] not in VISIBILITIES:
        raise Refused(f"visibility is one of {', '.join(VISIBILITIES)}; not {values['visibility']}")
    if not 0 <= seed <= MAX_SEED:
        raise Refused(f"a round's seed is between 0 and {MAX_SEED:,}")
    return {**values, "title": title, "challenge": find_challenge(values["challenge"]).name}


def why_unplayable(found: Round) -> str | None:
    """Why a stored round cannot be played here, as the end of a sentence; None when it can.

    The database may come from another version of the app, or from one with other challenges.
    """
    try:
        check_rules(vars(found))
    except GraderError as exc:
        return str(exc)
    return None


def find_round(connection: sa.Connection, round_id: int, *, lock: bool = False) -> Round:
    """The round with this id; lock: nobody changes it, or joins it, until the transaction ends."""
    row = connection.execute(_ONE_LOCKED if lock else _ONE, {"round_id": round_id}).one_or_none()
    if row is None:
        raise NotFound("round", round_id)
    return Round(**row._mapping)
