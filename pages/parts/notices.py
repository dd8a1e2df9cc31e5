"""What the host of a round says to every page: announcements, and that new runs have to wait.

The competition is loaded only where it has a database, so that a page without one starts as fast as before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.parts.competition.place import has_database
from pages.state.text import as_plain

if TYPE_CHECKING:
    from grader.competition import Round

LIVE_S = 10
PAUSED = "the host has paused new runs for a moment; try again when they go on"


def draw_notices() -> None:
    """The announcements of rounds that are not over, live."""
    if has_database():
        _live()


def runs_are_paused() -> bool:
    """Whether a host has asked for a pause."""
    return any(each.has_paused_runs for each in _current())


@st.fragment(run_every=LIVE_S)
def _live() -> None:
    rounds = _current()
    for each in rounds:
        if each.announcement:
            st.info(as_plain(each.announcement), icon=":material/campaign:", title=as_plain(each.title))
    if any(each.has_paused_runs for each in rounds):
        st.caption(":material/pause_circle: The host has paused new runs for a moment.")


def _current() -> list[Round]:
    """The rounds that are not over; none where the database does not answer: its own pages say that."""
    if not has_database():
        return []
    from grader.competition import CompetitionError, now_ms
    from pages.parts.competition import backend as shared

    try:
        return [each for each in shared.rounds() if each.state(now_ms()) != "closed"]
    except CompetitionError:
        return []
