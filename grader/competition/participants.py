"""Participants: they join with a nickname and come back with their code; the host may take them out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from grader.competition.codes import hash_code, is_code, new_code
from grader.competition.database import Database
from grader.competition.errors import NicknameTaken, NotFound, NotOpen, Refused, RoundFull, WrongCode
from grader.competition.limits import REASON_CHARS, Limits
from grader.competition.models import MemberRow, ParticipantRow
from grader.competition.nicknames import clean_nickname, skeleton
from grader.competition.password import AttemptLimiter, Source
from grader.competition.records import Participant, Round
from grader.competition.rounds import find_round
from grader.words import count

_COLUMNS = (
    ParticipantRow.id,
    ParticipantRow.round_id,
    ParticipantRow.number,
    ParticipantRow.nickname,
    ParticipantRow.created_ms,
    ParticipantRow.disqualified_ms,
    ParticipantRow.disqualified_reason,
    ParticipantRow.person,
)
# Built once: submitting runs it while others wait for their turn to write.
_ONE = sa.select(*_COLUMNS).where(ParticipantRow.id == sa.bindparam("participant_id"))
_ONE_LOCKED = _ONE.with_for_update()
# Compared with when there is no such nickname, so that the answer takes as long as for a wrong code.
_NOBODY = f"{'00' * 16}:{'00' * 32}"


class Participants:
    """The participants of all rounds. Thread-safe. Everything raises StoreError when the database fails."""

    def __init__(self, database: Database, limits: Limits, clock: Callable[[], int]) -> None:
        self._database = database
        self._limits = limits
        self._clock = clock
        self._limiter = AttemptLimiter()

    def join(self, round_id: int, nickname: str) -> tuple[Participant, str]:
        """A new participant, and the code to come back with: it is told here once and kept nowhere.

        Raises BadNickname, NicknameTaken, NotOpen when the round is over, RoundFull, NotFound.
        """
        nickname = clean_nickname(nickname)
        code = new_code()
        values = {"nickname": nickname, "code_hash": hash_code(code)}
        with self._database.writing() as connection:
            found = find_open(connection, round_id, self._clock)
            refuse_taken(connection, round_id, nickname)
            return self.add(connection, found, values), code

    def add(self, connection: sa.Connection, found: Round, values: dict[str, Any]) -> Participant:
        """Insert an entry into a round whose row is locked. values: nickname, code_hash and more columns.

        Raises RoundFull.
        """
        now = self._clock()
        columns = {
            **values,
            "skeleton": skeleton(values["nickname"]),
            "round_id": found.id,
            "number": self._next_number(connection, found.id, now),
            "created_ms": now,
        }
        row = connection.execute(sa.insert(ParticipantRow).values(columns).returning(*_COLUMNS)).one()
        return Participant(**row._mapping)

    def join_team(self, round_id: int, team: str, code: str, nickname: str, session: str = "") -> Participant:
        """Join somebody's team with its name and its code; the team keeps its one entry.

        session: see `come_back`. Raises WrongCode, BadNickname, NicknameTaken, RoundFull when the team has as
        many people as it may.
        """
        nickname = clean_nickname(nickname)
        who = self.come_back(round_id, team, code, session)
        with self._database.writing() as connection:
            found = find_open(connection, round_id, self._clock)
            refuse_taken(connection, round_id, nickname)
            self.add_member(connection, found, who, {"nickname": nickname})
        return who

    def add_member(
        self, connection: sa.Connection, found: Round, who: Participant, values: dict[str, Any]
    ) -> None:
        """Insert a member into a team of a round whose row is locked. Raises RoundFull."""
        count = sa.select(sa.func.count()).where(MemberRow.participant_id == who.id)
        if 1 + connection.execute(count).scalar_one() >= found.team_size:
            raise RoundFull(f"a team of this round has at most {count_people(found.team_size)}")
        columns = {
            **values,
            "participant_id": who.id,
            "skeleton": skeleton(values["nickname"]),
            "created_ms": self._clock(),
        }
        connection.execute(sa.insert(MemberRow).values(columns))

    def leave_team(self, participant_id: int, nickname: str) -> None:
        """Take a member out of a team; what the team submitted stays. Raises NotFound, NotOpen."""
        with self._database.writing() as connection:
            who = find_participant(connection, participant_id)
            find_open(connection, who.round_id, self._clock)
            mine = (MemberRow.participant_id == participant_id, MemberRow.nickname == nickname)
            gone = connection.execute(sa.delete(MemberRow).where(*mine).returning(MemberRow.id)).first()
            if gone is None:
                raise NotFound("member of this team", nickname)

    def members(self, round_id: int) -> dict[int, list[str]]:
        """Who else is in each team of the round, by participant, in the order in which they joined."""
        query = (
            sa.select(MemberRow.participant_id, MemberRow.nickname)
            .join(ParticipantRow, ParticipantRow.id == MemberRow.participant_id)
            .where(ParticipantRow.round_id == round_id)
            .order_by(MemberRow.id)
        )
        found: dict[int, list[str]] = {}
        with self._database.reading() as connection:
            for row in connection.execute(query):
                found.setdefault(row.participant_id, []).append(row.nickname)
        return found

    def come_back(self, round_id: int, nickname: str, code: str, session: str = "") -> Participant:
        """The participant of this nickname and code. Raises WrongCode, or Refused after too many tries.

        session: names the browser session that tries. Only its own tries count: a code is too long to be
        guessed from however many, and nobody shall be kept out by what others type.
        """
        looks = skeleton(nickname[:200])
        source = Source(f"{round_id}/{looks}/{session}")
        wait_s = self._limiter.wait_s(source)
        if wait_s > 0:
            raise Refused(f"too many wrong codes for this nickname here; try again in {wait_s:.0f} s")
        with self._database.reading() as connection:
            query = sa.select(*_COLUMNS, ParticipantRow.code_hash).where(
                ParticipantRow.round_id == round_id, ParticipantRow.skeleton == looks
            )
            row = connection.execute(query).one_or_none()
        expected = row.code_hash if row is not None else _NOBODY
        if not self._limiter.attempt(lambda: is_code(code[:100], expected), source) or row is None:
            raise WrongCode
        return _from(row._mapping)

    def new_code(self, participant_id: int) -> str:
        """Another code for somebody who has lost theirs: it is told here once, the old one opens nothing."""
        code = new_code()
        self._change(participant_id, {"code_hash": hash_code(code)})
        return code

    def get(self, participant_id: int) -> Participant:
        """Raises NotFound."""
        with self._database.reading() as connection:
            return find_participant(connection, participant_id)

    def of_round(self, round_id: int) -> list[Participant]:
        """Everybody in the round, in the order in which they joined."""
        query = sa.select(*_COLUMNS).where(ParticipantRow.round_id == round_id)
        with self._database.reading() as connection:
            return [_from(row._mapping) for row in connection.execute(query.order_by(ParticipantRow.number))]

    def disqualify(self, participant_id: int, reason: str) -> Participant:
        """Take somebody off the boards; the reason is shown to them. Raises Refused without one."""
        reason = " ".join("".join(c if c.isprintable() else " " for c in reason).split())
        if not 0 < len(reason) <= REASON_CHARS:
            raise Refused(f"a disqualification has a reason of 1 to {REASON_CHARS} characters")
        values = {"disqualified_ms": self._clock(), "disqualified_reason": reason}
        return self._change(participant_id, values)

    def reinstate(self, participant_id: int) -> Participant:
        """Put somebody back on the boards."""
        return self._change(participant_id, {"disqualified_ms": None, "disqualified_reason": None})

    def _change(self, participant_id: int, values: dict[str, Any]) -> Participant:
        with self._database.writing() as connection:
            find_participant(connection, participant_id)
            statement = sa.update(ParticipantRow).where(ParticipantRow.id == participant_id)
            row = connection.execute(statement.values(values).returning(*_COLUMNS)).one()
            return _from(row._mapping)

    def _next_number(self, connection: sa.Connection, round_id: int, now: int) -> int:
        recent = sa.func.count().filter(ParticipantRow.created_ms.between(now - 60_000, now + 60_000))
        query = sa.select(sa.func.coalesce(sa.func.max(ParticipantRow.number), 0), sa.func.count(), recent)
        highest, n_all, n_recent = connection.execute(query.where(ParticipantRow.round_id == round_id)).one()
        if n_all >= self._limits.participants_per_round:
            raise RoundFull(f"this round is full: it has {count(n_all, 'participant')}")
        if n_recent >= self._limits.joins_per_round_per_minute:
            raise RoundFull("very many people are joining this round right now; try again in a minute")
        return int(highest) + 1


def find_open(connection: sa.Connection, round_id: int, clock: Callable[[], int]) -> Round:
    """The round, its row locked, as long as people may come and go. Raises NotOpen, NotFound."""
    found = find_round(connection, round_id, lock=True)
    if found.state(clock()) == "closed":
        raise NotOpen("this round is over; nobody can join or leave it any more")
    return found


def refuse_taken(connection: sa.Connection, round_id: int, nickname: str) -> None:
    """Raise NicknameTaken when an entry or a member of a team looks the same.

    The round's row is locked, so nobody can take the name between this look and the insert.
    """
    looks = skeleton(nickname)
    holder = connection.execute(names_in(round_id, looks)).scalars().first()
    if holder is not None:
        raise NicknameTaken(nickname, holder)


def names_in(round_id: int, looks: str | None = None) -> sa.CompoundSelect[Any]:
    """A query for the names of all entries and members of a round; looks: only those with this skeleton."""
    entries = sa.select(ParticipantRow.nickname).where(ParticipantRow.round_id == round_id)
    members = (
        sa.select(MemberRow.nickname)
        .join(ParticipantRow, ParticipantRow.id == MemberRow.participant_id)
        .where(ParticipantRow.round_id == round_id)
    )
    if looks is not None:
        entries = entries.where(ParticipantRow.skeleton == looks)
        members = members.where(MemberRow.skeleton == looks)
    return entries.union_all(members)


def count_people(n: int) -> str:
    """ "1 person", "3 people"."""
    return "1 person" if n == 1 else f"{n} people"


def _from(row: sa.RowMapping) -> Participant:
    return Participant(**{column.key: row[column.key] for column in _COLUMNS})


def find_participant(connection: sa.Connection, participant_id: int, *, lock: bool = False) -> Participant:
    """The participant with this id; lock: their other submissions wait until the transaction ends."""
    query = _ONE_LOCKED if lock else _ONE
    row = connection.execute(query, {"participant_id": participant_id}).one_or_none()
    if row is None:
        raise NotFound("participant", participant_id)
    return _from(row._mapping)
