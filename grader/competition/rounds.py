"""Rounds: made, opened, closed, extended, frozen, deleted by the host."""

from __future__ import annotations

import json
import secrets
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from grader.competition.budgets import RoundBudget
from grader.competition.database import Database
from grader.competition.errors import NotFound, Refused
from grader.competition.limits import ANNOUNCEMENT_CHARS, MAX_PRIZES, MAX_TEAM_SIZE, TITLE_CHARS
from grader.competition.models import (
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
from grader.competition.records import VISIBILITIES, Round, Visibility
from grader.errors import GraderError
from grader.grading.registry import challenge as find_challenge

PRIZE_BOARDS = ("final", "best", "lowest", "improved", "thrifty")
_COPIED = (
    *("challenge", "submission_limit", "cooldown_s", "visibility"),
    *("budget", "team_size", "has_practice", "prizes"),
)
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
        budget: RoundBudget | None = None,
        team_size: int = 1,
        has_practice: bool = False,
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
                "budget": (budget or RoundBudget()).to_json(),
                "team_size": team_size,
                "has_practice": has_practice,
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
        """Open it now; a round that was closed opens again, without an end and as if it had never closed."""
        now = self._clock()

        def change(found: Round) -> dict[str, Any]:
            was_open = found.state(now) == "closed" and found.opens_ms is not None
            return {
                "opens_ms": found.opens_ms if was_open else now,
                "closes_ms": None if was_open else found.closes_ms,
            }

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

    def announce(self, round_id: int, text: str) -> Round:
        """Show a line on every page of the app; "" takes it away. Raises Refused for one that is too long."""
        text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        if len(text) > ANNOUNCEMENT_CHARS:
            raise Refused(f"an announcement has at most {ANNOUNCEMENT_CHARS} characters")
        now = self._clock()
        return self._change(round_id, lambda found: {"announcement": text, "announced_ms": now})

    def set_prizes(self, round_id: int, prizes: Sequence[tuple[str, str]]) -> Round:
        """(name, board) of each prize: a board's first place wins it. Raises Refused."""
        _check_prizes(prizes)
        return self._change(round_id, lambda found: {"prizes": json.dumps([list(each) for each in prizes])})

    def pause_runs(self, round_id: int, paused: bool) -> Round:
        """Ask the app to start no new runs, or to start them again."""
        return self._change(round_id, lambda found: {"has_paused_runs": paused})

    def copy(self, round_id: int) -> Round:
        """A new round with the same rules and another seed, without people; it waits to be opened."""
        found = self.get(round_id)
        rules = {name: getattr(found, name) for name in _COPIED}
        values = rules | {"uid": uuid.uuid4().hex, "seed": secrets.randbelow(MAX_SEED)}
        values["title"] = f"{found.title[: TITLE_CHARS - 7].rstrip()}, again"
        values["created_ms"] = self._clock()
        with self._database.writing() as connection:
            made = connection.execute(sa.insert(RoundRow).values(values).returning(RoundRow.__table__))
            return Round(**made.one()._mapping)

    def delete(self, round_id: int) -> dict[str, Any]:
        """Delete the round with everybody and everything in it; returns what was deleted, as a receipt."""
        with self._database.writing() as connection:
            found = find_round(connection, round_id)
            receipt = _receipt(connection, found, self._clock())
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
            people = sa.select(ParticipantRow.id).where(ParticipantRow.round_id == found.id)
            connection.execute(sa.delete(MemberRow).where(MemberRow.participant_id.in_(people)))
            connection.execute(sa.delete(ParticipantRow).where(ParticipantRow.round_id == found.id))
            connection.execute(sa.delete(RoundRow).where(RoundRow.id == found.id))
        return receipt

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
    if not 1 <= values.get("team_size", 1) <= MAX_TEAM_SIZE:
        raise Refused(f"a team has 1 to {MAX_TEAM_SIZE} people; not {values['team_size']}")
    RoundBudget.from_json(values.get("budget", "{}"))
    try:
        _check_prizes([(name, board) for name, board in json.loads(values.get("prizes", "[]"))])
    except (ValueError, TypeError) as exc:
        raise Refused("prizes are a list of names and boards") from exc
    return {**values, "title": title, "challenge": find_challenge(values["challenge"]).name}


def _check_prizes(prizes: Sequence[tuple[str, str]]) -> None:
    if len(prizes) > MAX_PRIZES:
        raise Refused(f"a round has at most {MAX_PRIZES} prizes")
    for name, board in prizes:
        if not isinstance(name, str) or not 0 < len(name.strip()) <= TITLE_CHARS or not name.isprintable():
            raise Refused(f"a prize has a name of 1 to {TITLE_CHARS} characters")
        if board not in PRIZE_BOARDS:
            raise Refused(f"a prize is for one of {', '.join(PRIZE_BOARDS)}; not {board}")


def _receipt(connection: sa.Connection, found: Round, now_ms: int) -> dict[str, Any]:
    """What a deletion takes away: how many rows of each kind, of which round, and when."""
    people = sa.select(ParticipantRow.id).where(ParticipantRow.round_id == found.id)
    submissions = sa.select(SubmissionRow.id).where(SubmissionRow.round_id == found.id)
    finals = sa.select(FinalRow.id).where(FinalRow.round_id == found.id)
    entries = sa.select(FinalEntryRow.id).where(FinalEntryRow.final_id.in_(finals))
    counted = {
        "participants": sa.select(sa.func.count()).select_from(people.subquery()),
        "team_members": sa.select(sa.func.count()).where(MemberRow.participant_id.in_(people)),
        "submissions": sa.select(sa.func.count()).select_from(submissions.subquery()),
        "grades": sa.select(sa.func.count()).where(GradeRow.submission_id.in_(submissions)),
        "finals": sa.select(sa.func.count()).select_from(finals.subquery()),
        "final_runs": sa.select(sa.func.count()).where(FinalRunRow.entry_id.in_(entries)),
    }
    deleted = {name: connection.execute(query).scalar_one() for name, query in counted.items()}
    at = datetime.fromtimestamp(now_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return {"round": found.title, "uid": found.uid, "deleted_at": at, "deleted": deleted}


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
