"""What one browser session holds. Every page calls `init_session()` first."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from moa_core import MoAConfig
from pages.ui.draft import Draft
from pages.ui.navigation import enter
from pages.ui.turn import Turn

CANCEL_LIMIT_S = 6.0


@dataclass
class Attempt:
    """One generation of a challenge: the run that wrote the code, the code, and the report on it."""

    number: int
    challenge: str
    turn: Turn
    code: str = ""
    notes: tuple[str, ...] = ()
    reason: str = ""  # why there is no code, or no report
    report: dict[str, Any] | None = None
    config: str = ""  # with messages and seed: all it takes to make the generation again
    messages: tuple[dict[str, str], ...] = ()
    seed: int | None = None
    key: str = field(default_factory=lambda: uuid.uuid4().hex)


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
