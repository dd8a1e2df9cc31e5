"""The parts of the Host page about who takes part and what they submitted."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from grader.competition import Participant, Provenance, Round
from grader.competition.similarity import SHOWN_FROM, similar_pairs
from pages.parts.backend import is_in_process
from pages.parts.competition import backend as shared
from pages.parts.competition.view import outcome, when
from pages.parts.host.controls import act
from pages.parts.layout import row
from pages.parts.problems import show_problem
from pages.parts.report import show_report
from pages.parts.session import Session
from pages.parts.stream import begin, watch
from pages.state.provenance import config_of, is_same_text
from pages.state.public_cases import PublicCases
from pages.state.text import as_plain, count
from pages.state.turn import Turn


def draw_participants(found: Round) -> None:
    """Everybody in the round; one can be disqualified or reinstated."""
    people = shared.store().participants.of_round(found.id)
    if not people:
        st.caption("Nobody has joined yet.")
        return
    frame = pd.DataFrame(
        {
            "number": [who.number for who in people],
            "nickname": [who.nickname for who in people],
            "joined": [when(who.created_ms) for who in people],
            "disqualified": [who.disqualified_reason or "" for who in people],
        }
    )
    st.dataframe(
        frame,
        hide_index=True,
        height="content" if len(people) <= 12 else 460,
        column_config={
            "number": st.column_config.NumberColumn("Player", width="small"),
            "nickname": st.column_config.TextColumn("Nickname"),
            "joined": st.column_config.TextColumn("Joined", width="small"),
            "disqualified": st.column_config.TextColumn("Disqualified because"),
        },
        alt=count(len(people), "participant"),
    )
    by_id = {who.id: who for who in people}
    with row(vertical_alignment="bottom"):
        chosen = st.selectbox(
            "Participant",
            list(by_id),
            format_func=lambda number: by_id[number].nickname,
            key="host_participant",
            width=260,
        )
        draw_disqualification(by_id[chosen])
        draw_new_code(by_id[chosen])
    shown_for, code = st.session_state.get("host_code", (0, ""))
    if shown_for == chosen:
        st.code(code, language=None, width="content")
        st.caption(f"The new code of {as_plain(by_id[chosen].nickname)}: it is shown only now.")


def draw_new_code(who: Participant) -> None:
    """A code for somebody who has lost theirs."""

    def issue() -> None:
        code = shared.store().participants.new_code(who.id)
        st.session_state["host_code"] = (who.id, code)

    st.button(
        "New code",
        icon=":material/key:",
        key="host_new_code",
        help="The old one opens nothing any more.",
        on_click=act,
        args=(f"{who.nickname} has a new code.", issue),
    )


def draw_disqualification(who: Participant) -> None:
    """A reason and a button, or the way back."""
    participants = shared.store().participants
    if who.is_disqualified:
        st.button(
            "Reinstate",
            icon=":material/undo:",
            key="host_reinstate",
            on_click=act,
            args=(f"{who.nickname} is back on the boards.", lambda: participants.reinstate(who.id)),
        )
        return
    key = f"host_reason_{who.id}"
    st.text_input("Reason, shown to them", max_chars=300, key=key, width=320)
    st.button(
        "Disqualify",
        icon=":material/block:",
        key="host_disqualify",
        on_click=lambda: act(
            f"{who.nickname} is off the boards.",
            lambda: participants.disqualify(who.id, st.session_state[key]),
        ),
    )


def draw_submissions(session: Session, found: Round) -> None:
    """Regrade all; look at one submission and replay it."""
    submissions = shared.store().submissions.of_round(found.id)
    n_waiting = sum(not each.is_graded for each in submissions)
    with row(vertical_alignment="center"):
        st.button(
            "Regrade all",
            icon=":material/autorenew:",
            key="host_regrade",
            help="Grades every submission again; each new grade supersedes the old one, which is kept.",
            disabled=not submissions,
            on_click=act,
            args=("Everything is being graded again.", lambda: shared.grading_queue().regrade(found.id)),
        )
        if n_waiting:
            st.button(
                f"Grade the {n_waiting} that wait",
                icon=":material/hourglass_top:",
                key="host_grade_waiting",
                on_click=act,
                args=("They are in the queue.", lambda: shared.grading_queue().pick_up(found.id)),
            )
    if not submissions:
        st.caption("Nothing was submitted yet.")
        return
    draw_similarity(found)
    nicknames = {who.id: who.nickname for who in shared.store().participants.of_round(found.id)}
    names = {
        each.id: f"{nicknames[each.participant_id]}, {when(each.created_ms)}: {outcome(each)}"
        for each in submissions
    }
    chosen = st.selectbox(
        "Submission", list(names)[::-1], format_func=names.__getitem__, key="host_submission"
    )
    draw_submission(session, shared.store().submissions.provenance(chosen))


def draw_similarity(found: Round) -> None:
    """Which submissions of different people are alike, when the host asks."""
    with st.expander("Similar submissions", icon=":material/content_copy:", on_change="rerun") as opened:
        if not opened.open:
            return
        pairs = similar_pairs(shared.store(), found.id)
        st.caption(
            "The share of word runs in common, for the code (names and comments aside) and for the prompts. "
            "Small models write alike by themselves: it is a hint, not a verdict."
        )
        if not pairs:
            st.caption(f"No two people have {SHOWN_FROM:.0%} or more in common.")
            return
        st.dataframe(
            pd.DataFrame(
                {
                    "first": [pair.first for pair in pairs],
                    "second": [pair.second for pair in pairs],
                    "code": [pair.code for pair in pairs],
                    "prompts": [pair.prompts for pair in pairs],
                }
            ),
            hide_index=True,
            column_config={
                "first": st.column_config.TextColumn("One"),
                "second": st.column_config.TextColumn("The other"),
                "code": st.column_config.ProgressColumn("Code", min_value=0, max_value=1, format="percent"),
                "prompts": st.column_config.ProgressColumn(
                    "Prompts", min_value=0, max_value=1, format="percent"
                ),
            },
            alt=f"{count(len(pairs), 'pair')} of similar submissions",
        )


def draw_submission(session: Session, provenance: Provenance) -> None:
    """How a submission came about, its report, and the button that makes it again."""
    models = ", ".join(as_plain(model) for model in provenance.models)
    st.caption(f"{models} · {as_plain(provenance.backend)} · seed {provenance.seed}")
    can_replay = bool(provenance.models) and all(is_in_process(model) for model in provenance.models)
    is_started = st.button(
        "Replay",
        icon=":material/replay:",
        key="host_replay",
        disabled=not can_replay,
        help="Runs the stored configuration, prompt and seed again. In-process models write the same text."
        if can_replay
        else "Only what in-process models wrote can be made again to the letter.",
    )
    if is_started:
        draw_replay(session, provenance)
    report, code, reply, config = st.tabs(["Report", "Code", "Reply", "Configuration and prompt"])
    with report:
        if provenance.report:
            show_report(provenance.report)
        else:
            st.caption("It waits for its grade.")
    with code:
        st.code(provenance.code, language="python", line_numbers=True)
    with reply:
        st.code(provenance.reply, language=None, wrap_lines=True)
    with config:
        st.code(provenance.config, language="json", wrap_lines=True, height=320)
        for message in provenance.messages:
            st.code(message.get("content", ""), language=None, wrap_lines=True, height=240)


def draw_replay(session: Session, provenance: Provenance) -> None:
    """Run it again before the host's eyes and compare the texts."""
    turn = Turn("Replay")
    place = st.container()
    checker = PublicCases(provenance.report["challenge"]) if provenance.report else None
    begin(session, turn, lambda: config_of(provenance), provenance.messages, checker=checker)
    with st.expander("The replay", expanded=True):
        watch(turn)
    with place:
        if turn.error is not None:
            show_problem(turn.error)
        elif is_same_text(turn.answer, provenance):
            st.success("The replay wrote the same text, letter by letter.", icon=":material/verified:")
        else:
            st.error(
                "The replay wrote another text. On another kind of processor sums are rounded differently; "
                "on the machine it came from, it means that this app did not write the submission.",
                title="Not the same text",
                icon=":material/warning:",
            )
