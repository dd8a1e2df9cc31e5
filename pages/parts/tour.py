"""The guided first run: five steps through Chat and Agents, to be left at any of them."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from pages.parts.layout import row

STEP = "tour_step"


@dataclass(frozen=True)
class Stop:
    """One step: on which page, and what to do there."""

    page: str
    title: str
    words: str


STOPS = (
    Stop(
        "pages/chat.py",
        "Ask",
        "Click one of the questions below, or type your own. Three agents begin at the same time.",
    ),
    Stop(
        "pages/chat.py",
        "Watch a layer work together",
        "The timeline has a lane per agent: the agents of one agent layer wait and write at the same "
        "time, and the "
        "next agent layer starts when the slowest is done. The summarizer comes last.",
    ),
    Stop(
        "pages/chat.py",
        "Open a call",
        "Click Open on one of the second layer's cards, then What it was sent: the answers of the first "
        "layer "
        "stand in its system prompt. That is all a Mixture of Agents is.",
    ),
    Stop(
        "pages/agents.py",
        "Change a prompt",
        "Give one agent another character: in its prompt write, for instance, Answer in verse. It counts "
        "at once.",
    ),
    Stop(
        "pages/chat.py",
        "See the difference",
        "Click Ask again under the answer, and compare. Then try Ask one model alone: what did the agents "
        "add?",
    ),
)


def begin_tour() -> None:
    """Start at the first step."""
    st.session_state[STEP] = 0


def go(step: int) -> None:
    """Another step; beyond the last the tour is over."""
    st.session_state[STEP] = step if 0 <= step < len(STOPS) else None


def leave_tour() -> None:
    st.session_state[STEP] = None


def draw_tour(page: str) -> None:
    """The step that is due, on its page; elsewhere the way there. Nothing outside of the tour."""
    number = st.session_state.get(STEP)
    if number is None:
        return
    stop = STOPS[number]
    with st.container(border=True, key="tour"):
        st.markdown(f"**Guided first run, {number + 1} of {len(STOPS)}: {stop.title}**")
        if stop.page == page:
            st.markdown(stop.words)
        else:
            st.page_link(
                stop.page, label="This step is on another page: go there", icon=":material/arrow_forward:"
            )
        with row():
            is_last = number + 1 == len(STOPS)
            st.button(
                "Done" if is_last else "Next step",
                type="primary",
                icon=":material/check:" if is_last else ":material/arrow_forward:",
                key="tour_next",
                on_click=go,
                args=(number + 1,),
            )
            if number:
                st.button(
                    "Back", icon=":material/arrow_back:", key="tour_back", on_click=go, args=(number - 1,)
                )
            st.button("Leave the tour", icon=":material/close:", key="tour_leave", on_click=leave_tour)
