"""Where this browser sits in a round, and what the page says about it."""

from __future__ import annotations

import streamlit as st

from grader.competition import NotFound, Round, Seat
from pages.parts import sign_in
from pages.parts.competition import backend as shared
from pages.parts.competition.entrance import MEMBERS, draw_leave
from pages.parts.layout import row
from pages.parts.session import Session
from pages.state.text import as_plain


def my_seat(session: Session, found: Round) -> Seat | None:
    """Where this browser sits in the round; None when it has not joined, or was deleted with it.

    Who has signed in sits where the account does; everybody else where their session says.
    """
    if sign_in.is_configured():
        account = sign_in.account()
        seat = None if account is None else shared.store().seats.of(found.id, account)
    else:
        seat = _session_seat(session, found)
    if seat is None:
        session.seats.pop(found.uid, None)
    else:
        session.seats[found.uid] = seat.participant.id
    return seat


def _session_seat(session: Session, found: Round) -> Seat | None:
    """The seat that was taken in this browser with a nickname or a code."""
    participant_id = session.seats.get(found.uid)
    if participant_id is None:
        return None
    try:
        who = shared.store().participants.get(participant_id)
    except NotFound:  # the round was restored: its people have other numbers now, and their codes
        return None
    member = session.kept.get(MEMBERS, {}).get(found.uid)
    return Seat(who, member) if who.round_id == found.id else None


def draw_who(session: Session, found: Round, seat: Seat) -> None:
    """Who this browser is, and who else is in the team."""
    who = seat.participant
    team = shared.store().participants.members(found.id).get(who.id, []) if found.team_size > 1 else []
    people = [name for name in (who.person, *team) if name]
    others = [as_plain(name) for name in people if name != (seat.member or who.person)]
    me = seat.member or who.person
    said = f"You are **{as_plain(who.nickname)}**."
    if me and me != who.nickname:
        said = f"You are {as_plain(me)}, of **{as_plain(who.nickname)}**."
    if others:
        said += f" With you: {', '.join(others)}."
    with row(vertical_alignment="center", gap="small"):
        st.markdown(said, width="content")
        draw_leave(found, session, who, seat.member)
