"""The ways into a round: a new nickname, a nickname and its code, a team; and the code, shown once.

A session's seats: round uid -> participant id, who this browser is in each round.
"""

from __future__ import annotations

import streamlit as st

from grader.competition import CompetitionError, Participant, Round, clean_nickname, now_ms
from pages.parts import sign_in
from pages.parts.competition import backend as shared
from pages.parts.layout import row
from pages.parts.session import Session

CODE = "competition_code"  # (round uid, code) that still has to be shown
MEMBERS = "team_members"  # kept with the session: round uid -> the own name in somebody's team


def join(found: Round, session: Session) -> None:
    """Take part under the nickname that was typed."""
    try:
        who, code = shared.store().participants.join(found.id, st.session_state["competition_nickname"])
    except CompetitionError as exc:
        st.session_state["competition_problem"] = exc
        return
    session.seats[found.uid] = who.id
    st.session_state[CODE] = (found.uid, code)
    shared.forget()


def come_back(found: Round, session: Session) -> None:
    """Continue from another browser."""
    typed = st.session_state["competition_known_nickname"], st.session_state["competition_typed_code"]
    try:
        session.seats[found.uid] = (
            shared.store().participants.come_back(found.id, *typed, session=shared.tab()).id
        )
    except CompetitionError as exc:
        st.session_state["competition_problem"] = exc


def forget_code() -> None:
    """It is written down."""
    st.session_state.pop(CODE, None)


def draw_entrance(found: Round, session: Session) -> None:
    """Two ways in: a new nickname, or a nickname and its code."""
    if found.state(now_ms()) == "closed":
        st.info("This round is over. If you took part, come back with your code.")
    new, known = st.columns(2, gap="medium")
    with new, st.form("competition_join", height="stretch"):
        st.markdown("**Join**")
        st.text_input(
            "Nickname",
            max_chars=24,
            key="competition_nickname",
            help="Shown on the board. Nobody else in the round can have one that looks the same.",
        )
        st.form_submit_button(
            "Join the round",
            type="primary",
            icon=":material/login:",
            on_click=join,
            args=(found, session),
            disabled=found.state(now_ms()) == "closed",
        )
    with known, st.form("competition_back", height="stretch"):
        st.markdown("**Come back from another browser**")
        st.text_input("Your nickname", max_chars=24, key="competition_known_nickname")
        st.text_input("Your code", type="password", max_chars=20, key="competition_typed_code")
        st.form_submit_button("Come back", icon=":material/key:", on_click=come_back, args=(found, session))
    if found.team_size > 1 and found.state(now_ms()) != "closed":
        draw_team_entrance(found, session)


def join_team(found: Round, session: Session) -> None:
    """Take part in somebody's team."""
    team, code, mine = (st.session_state[f"competition_team_{part}"] for part in ("name", "code", "mine"))
    try:
        people = shared.store().participants
        session.seats[found.uid] = people.join_team(found.id, team, code, mine, shared.tab()).id
    except CompetitionError as exc:
        st.session_state["competition_problem"] = exc
        return
    session.kept.setdefault(MEMBERS, {})[found.uid] = clean_nickname(mine)


def draw_team_entrance(found: Round, session: Session) -> None:
    """The third way in, where rounds have teams."""
    with st.form("competition_team"):
        st.markdown(f"**Join a team of up to {found.team_size}**")
        with row(vertical_alignment="bottom"):
            st.text_input("The team's name", max_chars=24, key="competition_team_name", width=200)
            st.text_input(
                "The team's code", type="password", max_chars=20, key="competition_team_code", width=200
            )
            st.text_input("Your own name", max_chars=24, key="competition_team_mine", width=200)
            st.form_submit_button(
                "Join the team", icon=":material/group_add:", on_click=join_team, args=(found, session)
            )


def draw_code(found: Round) -> None:
    """The code, until the participant says that it is written down."""
    uid, code = st.session_state.get(CODE, ("", ""))
    if uid != found.uid:
        return
    why = (
        "the others join your team with it."
        if sign_in.is_configured()
        else "and brings you back from another browser."
    )
    with st.container(border=True):
        st.markdown(f"**Write this code down.** It is shown only now, {why}")
        st.code(code, language=None, width="content")
        st.button("I have written it down", on_click=forget_code, key="competition_noted")


def draw_leave(found: Round, session: Session, who: Participant, member: str | None) -> None:
    """The way out of a team, while the round goes on. member: the own name in it, where that is known."""
    by_account = sign_in.is_configured()
    if found.team_size < 2 or found.state(now_ms()) == "closed" or not (by_account or member):
        return

    def leave() -> None:
        store, account = shared.store(), sign_in.account()
        try:
            if account is not None:
                store.seats.leave(found.id, account)
            elif member:
                store.participants.leave_team(who.id, member)
        except CompetitionError as exc:
            st.session_state["competition_problem"] = exc
            return
        session.seats.pop(found.uid, None)
        session.kept.get(MEMBERS, {}).pop(found.uid, None)
        session.save()
        shared.forget()

    st.button(
        "Leave the team",
        icon=":material/logout:",
        type="tertiary",
        key="competition_leave",
        on_click=leave,
        help="What the team has submitted stays with it.",
    )
