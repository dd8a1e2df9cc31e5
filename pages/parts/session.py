"""What one browser session holds. Every page calls `init_session()` first."""

from __future__ import annotations

from dataclasses import dataclass, field

import streamlit as st

from moa_core import MoAConfig
from pages.parts.navigation import enter
from pages.state.attempts import Attempt
from pages.state.draft import Draft
from pages.state.turn import Turn

CANCEL_LIMIT_S = 6.0


@dataclass
class Session:
    """Everything of one session that outlives a rerun and a page change."""

    draft: Draft = field(default_factory=lambda: Draft(MoAConfig.default()))
    turns: list[Turn] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    last_run: Turn | None = None


def init_session() -> Session:
    """The session's own state, made on the first call; safe to call any number of times.

    Streamlit starts a new script run while the one it interrupts is still being cancelled, so this waits
    until an interrupted run has told how it ended.
    """
    enter()
    if "moa_session" not in st.session_state:
        st.session_state["moa_session"] = Session()
    session: Session = st.session_state["moa_session"]
    if session.last_run is not None and not session.last_run.ended.wait(CANCEL_LIMIT_S):
        session.last_run.finish_early()
        session.last_run.ended.set()
    return session
