"""Seats of people who came by a sign-in: their account brings them back, from any browser, without a code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from grader.competition.accounts import Account
from grader.competition.codes import hash_code, new_code
from grader.competition.database import Database
from grader.competition.errors import Disqualified, NicknameTaken, Refused
from grader.competition.models import MemberRow, ParticipantRow, SubmissionRow
from grader.competition.nicknames import NAME_CHARS, clean_nickname, skeleton
from grader.competition.participants import (
    Participants,
    find_open,
    find_participant,
    names_in,
    refuse_taken,
)
from grader.competition.records import Participant, Round
from grader.competition.rounds import find_round

_NUMBER_CHARS = 5  # of " 1234" behind a name that somebody else has too


@dataclass(frozen=True)
class Seat:
    """Where somebody sits in a round. member: their name in somebody's team; None: the entry is theirs."""

    participant: Participant
    member: str | None


class Seats:
    """The seats of accounts in all rounds. Thread-safe. Everything raises StoreError when the database fails.

    An account has one seat in a round: an entry of its own, or a place in one team.
    """

    def __init__(self, database: Database, participants: Participants, clock: Callable[[], int]) -> None:
        self._database = database
        self._participants = participants
        self._clock = clock

    def of(self, round_id: int, account: Account) -> Seat | None:
        """Where this account sits; None: it has not joined. Raises NotFound."""
        with self._database.reading() as connection:
            return _seat(connection, find_round(connection, round_id), account)

    def enter(self, round_id: int, account: Account, team: str = "") -> tuple[Participant, str]:
        """Join under the account's name, or make a team with a name of its own; the code is for its others.

        Who sits in the round already keeps the seat, and gets no code. Raises BadNickname, NicknameTaken,
        NotOpen, RoundFull, NotFound.
        """
        name = clean_nickname(account.name, NAME_CHARS)
        code = new_code()
        values: dict[str, Any] = {"code_hash": hash_code(code)}
        with self._database.writing() as connection:
            found = find_round(connection, round_id, lock=True)
            there = _seat(connection, found, account)
            if there is not None:
                return there.participant, ""
            find_open(connection, round_id, self._clock)
            if team.strip() and found.team_size > 1:
                values |= {"nickname": clean_nickname(team), "person": name}
                refuse_taken(connection, round_id, values["nickname"])
            else:
                values["nickname"] = _free_name(connection, round_id, name)
            values["account"] = account.key(found.uid)
            return self._participants.add(connection, found, values), code

    def join_team(self, round_id: int, account: Account, team: str, code: str) -> Participant:
        """Join somebody's team under the account's name. Raises WrongCode, RoundFull, Refused, NotOpen."""
        name = clean_nickname(account.name, NAME_CHARS)
        who = self._participants.come_back(round_id, team, code)
        with self._database.writing() as connection:
            found = find_open(connection, round_id, self._clock)
            _refuse_seated(connection, found, account)
            values = {
                "nickname": _free_name(connection, round_id, name),
                "account": account.key(found.uid),
            }
            self._participants.add_member(connection, found, who, values)
        return who

    def claim(self, round_id: int, account: Account, nickname: str, code: str) -> Participant:
        """Take over an entry that was made with a nickname and a code; from now on the account opens it."""
        who = self._participants.come_back(round_id, nickname, code)
        with self._database.writing() as connection:
            found = find_round(connection, round_id, lock=True)
            _refuse_seated(connection, found, account)
            free = sa.and_(ParticipantRow.id == who.id, ParticipantRow.account.is_(None))
            statement = sa.update(ParticipantRow).where(free).values(account=account.key(found.uid))
            if connection.execute(statement.returning(ParticipantRow.id)).first() is None:
                raise Refused("this entry belongs to another account")
        return who

    def leave(self, round_id: int, account: Account) -> None:
        """Give the seat up. Whoever made a team hands it to the member who has been in it longest.

        Raises Refused where that would leave submissions without anybody, Disqualified for an entry that the
        host has taken out (it could begin anew), NotOpen when the round is over.
        """
        with self._database.writing() as connection:
            found = find_open(connection, round_id, self._clock)
            seat = _seat(connection, found, account)
            if seat is None:
                return
            who = find_participant(connection, seat.participant.id, lock=True)
            if who.is_disqualified:
                raise Disqualified(who.disqualified_reason or "")
            members = sa.select(MemberRow.__table__).where(MemberRow.participant_id == who.id)
            others = connection.execute(members.order_by(MemberRow.id)).all()
            if seat.member is not None:
                mine = MemberRow.account == account.key(found.uid)
                connection.execute(sa.delete(MemberRow).where(MemberRow.participant_id == who.id, mine))
            elif others:
                heir = others[0]
                connection.execute(sa.delete(MemberRow).where(MemberRow.id == heir.id))
                values = {"account": heir.account, "person": heir.nickname}
                connection.execute(
                    sa.update(ParticipantRow).where(ParticipantRow.id == who.id).values(values)
                )
            else:
                _withdraw(connection, who)


def _withdraw(connection: sa.Connection, who: Participant) -> None:
    """Take an entry back that nothing was submitted for."""
    submitted = sa.select(SubmissionRow.id).where(SubmissionRow.participant_id == who.id)
    if connection.execute(submitted.limit(1)).first():
        raise Refused("you are alone in this entry, and what was submitted for it stays; ask the host")
    connection.execute(sa.delete(ParticipantRow).where(ParticipantRow.id == who.id))


def _seat(connection: sa.Connection, found: Round, account: Account) -> Seat | None:
    key = account.key(found.uid)
    own = sa.select(ParticipantRow.id).where(
        ParticipantRow.round_id == found.id, ParticipantRow.account == key
    )
    mine = connection.execute(own).scalar_one_or_none()
    if mine is not None:
        return Seat(find_participant(connection, mine), None)
    query = (
        sa.select(MemberRow.participant_id, MemberRow.nickname)
        .join(ParticipantRow, ParticipantRow.id == MemberRow.participant_id)
        .where(ParticipantRow.round_id == found.id, MemberRow.account == key)
    )
    row = connection.execute(query).first()
    return None if row is None else Seat(find_participant(connection, row.participant_id), row.nickname)


def _refuse_seated(connection: sa.Connection, found: Round, account: Account) -> None:
    """The round's row is locked, so nobody takes a second seat between this look and the insert."""
    seat = _seat(connection, found, account)
    if seat is not None:
        raise Refused(f"you sit in this round already, in {seat.participant.nickname}; leave it first")


def _free_name(connection: sa.Connection, round_id: int, name: str) -> str:
    """`name`, with a number behind it when somebody else in the round has one that looks the same."""
    taken = {skeleton(each) for each in connection.execute(names_in(round_id)).scalars()}
    if skeleton(name) not in taken:
        return name
    stem = name[: NAME_CHARS - _NUMBER_CHARS].rstrip()
    numbered = (f"{stem} {number}" for number in range(2, len(taken) + 3))
    free = next((each for each in numbered if skeleton(each) not in taken), None)
    if free is None:
        raise NicknameTaken(name, name)
    return free
