"""The ways into a round for those who sign in: under their own name, in a team, with an older code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import streamlit as st

from grader.competition import Account, CompetitionError, Participant, Round, now_ms
from grader.competition.nicknames import NICKNAME_CHARS
from pages.parts import sign_in
from pages.parts.competition import backend as shared
from pages.parts.competition.entrance import CODE
from pages.parts.layout import row
from pages.parts.session import Session
from pages.state.text import as_plain


def draw_account_entrance(session: Session, found: Round) -> None:
    """Sign in first; then join, as the account's name."""
    who = sign_in.account()
    if who is None:
        st.caption("To take part, sign in: you join under the name of your account.")
        sign_in.draw_sign_in(session, "competition", found.uid)
        return
    if found.state(now_ms()) == "closed":
        st.info("This round is over, and this account did not take part in it.")
        return
    if found.team_size > 1:
        _draw_teams(session, found, who)
    else:
        _draw_join(session, found, who)
    _draw_claim(session, found, who)


def named(who: Account) -> Account:
    """The account with a name: its own, or what was typed where its provider gives none."""
    return who if who.name else replace(who, name=st.session_state["competition_own_name"])


def draw_name(who: Account) -> None:
    """A field for a name, where the provider gives none."""
    if not who.name:
        st.text_input("Your name", max_chars=NICKNAME_CHARS, key="competition_own_name", width=300)


def enter(session: Session, found: Round, change: Callable[[], Participant]) -> None:
    """Make the change that gives a seat; what is refused is said on the next run."""
    try:
        session.seats[found.uid] = change().id
    except CompetitionError as exc:
        st.session_state["competition_problem"] = exc
        return
    shared.forget()


def _draw_join(session: Session, found: Round, who: Account) -> None:
    draw_name(who)
    st.button(
        f"Join as {as_plain(who.name)}" if who.name else "Join",
        type="primary",
        icon=":material/login:",
        key="competition_enter",
        on_click=lambda: enter(session, found, lambda: shared.store().seats.enter(found.id, named(who))[0]),
    )


def _draw_teams(session: Session, found: Round, who: Account) -> None:
    """A new team, somebody's team, or alone."""
    seats = shared.store().seats

    def make() -> Participant:
        team = st.session_state["competition_new_team"]
        made, code = seats.enter(found.id, named(who), team)
        if code and team.strip():
            st.session_state[CODE] = (found.uid, code)
        return made

    def join() -> Participant:
        typed = [st.session_state[f"competition_team_{part}"] for part in ("name", "code")]
        return seats.join_team(found.id, named(who), *typed)

    draw_name(who)
    new, other = st.columns(2, gap="medium")
    with new, st.form("competition_make_team", height="stretch"):
        st.markdown(f"**Make a team of up to {found.team_size}**")
        st.text_input(
            "The team's name",
            max_chars=NICKNAME_CHARS,
            key="competition_new_team",
            help="Shown on the board. Left empty, you take part alone, under your own name.",
        )
        st.form_submit_button(
            "Take part",
            type="primary",
            icon=":material/group:",
            on_click=enter,
            args=(session, found, make),
        )
    with other, st.form("competition_team", height="stretch"):
        st.markdown("**Join somebody's team**")
        st.text_input("The team's name", max_chars=60, key="competition_team_name")
        st.text_input("The team's code", type="password", max_chars=20, key="competition_team_code")
        st.form_submit_button(
            "Join the team", icon=":material/group_add:", on_click=enter, args=(session, found, join)
        )


def _draw_claim(session: Session, found: Round, who: Account) -> None:
    """For whoever joined this round before sign-in was switched on."""
    with st.expander("I have a nickname and a code in this round", icon=":material/key:"):

        def claim() -> Participant:
            typed = [st.session_state[f"competition_claim_{part}"] for part in ("name", "code")]
            return shared.store().seats.claim(found.id, who, *typed)

        with st.form("competition_claim", border=False), row(vertical_alignment="bottom"):
            st.text_input("Your nickname", max_chars=NICKNAME_CHARS, key="competition_claim_name", width=200)
            st.text_input("Your code", type="password", max_chars=20, key="competition_claim_code", width=200)
            st.form_submit_button("It is mine", on_click=enter, args=(session, found, claim))
