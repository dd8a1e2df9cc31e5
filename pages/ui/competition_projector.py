"""The board for a wall: large type, live, readable on a phone too."""

from __future__ import annotations

import streamlit as st

from grader import challenge as find_challenge
from grader.competition import CompetitionError, Round, now_ms
from pages.ui import competition_backend as shared
from pages.ui.charts import CHART_CONFIG
from pages.ui.competition_charts import clock, distribution, places, podium
from pages.ui.competition_view import (
    countdown,
    show_competition_problem,
    shown_name,
    state_badge,
    when,
)
from pages.ui.report import points
from pages.ui.text import as_plain, count

LIVE_S = 2
SHOWN_PLACES = 10


@st.fragment(run_every=LIVE_S)
def draw_projector(round_id: int) -> None:
    """Redraws itself; every chart has a key, so the browser updates it in place instead of flickering."""
    try:
        found = next((each for each in shared.rounds() if each.id == round_id), None)
        if found is None:
            st.rerun()
        _draw(found)
    except CompetitionError as exc:
        show_competition_problem(exc)


def _draw(found: Round) -> None:
    n_people, n_submissions = shared.counts(found)
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.title(as_plain(found.title), width="content", anchor=False)
        state_badge(found)
    left = countdown(found)
    is_open = found.state(now_ms()) == "open"
    if left:
        st.plotly_chart(
            clock(left),
            key="projector_clock",
            config={"staticPlot": True},
            alt=f"{'Time left' if is_open else 'Opens in'} {left}",
        )
    said = f"{count(n_people, 'participant')} · {count(n_submissions, 'submission')}"
    frozen = f" · :material/ac_unit: board frozen at {when(found.frozen_ms)}" if found.frozen_ms else ""
    st.markdown(f"#### {said}{frozen}")
    if not shared.is_scores_public(found):
        st.markdown("### The board is shown when the round is closed.")
        return
    _draw_board(found)


def _draw_board(found: Round) -> None:
    rows = shared.public_board(found)
    max_score = find_challenge(found.challenge).max_score
    named = [(row.place, shown_name(row, found), row.value) for row in rows]
    if not named:
        st.markdown("### The first score appears here by itself.")
        return
    st.plotly_chart(
        podium([(name, value) for _, name, value in named[:3]]),
        key="projector_podium",
        config={"staticPlot": True},
        alt="; ".join(
            f"place {place}: {name}, {points(round(value, 1))}" for place, name, value in named[:3]
        ),
    )
    if named[3:]:
        st.plotly_chart(
            places(named[3:SHOWN_PLACES], max_score),
            key="projector_places",
            config={"staticPlot": True},
            alt=f"Places 4 to {min(len(named), SHOWN_PLACES)}",
        )
    st.plotly_chart(
        distribution([value for _, _, value in named], max_score),
        key="projector_distribution",
        config=CHART_CONFIG,
        alt=f"Distribution of the best scores of {count(len(named), 'participant')}",
    )
