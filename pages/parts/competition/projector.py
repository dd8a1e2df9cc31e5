"""The board for a wall: large type, live, readable on a phone too."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from grader import challenge as find_challenge
from grader.competition import BoardRow, CompetitionError, Final, Round, Standing, why_unplayable
from pages.parts.charts import CHART_CONFIG
from pages.parts.competition import backend as shared
from pages.parts.competition.charts import distribution
from pages.parts.competition.final_view import about_final, draw_progress, interval_text, standing_name
from pages.parts.competition.view import (
    left_ms,
    show_competition_problem,
    shown_name,
    state_badge,
    when,
)
from pages.parts.report import points
from pages.state.text import as_plain, capitalised, count

LIVE_S = 2
SHOWN_PLACES = 10
NOTHING_YET = "The first score appears here by itself."
HIDDEN = "The board is shown when the round is closed."
PARTS = Path(__file__).parent / "projector_files"

# A chart is taken away and drawn again whenever its data changes; this is changed in place instead.
wall = st.components.v2.component(
    "competition_wall",
    html='<div class="wall"><div class="clock" role="timer"></div><div class="podium"></div>'
    '<div class="places"></div></div>',
    css=(PARTS / "wall.css").read_text("utf-8"),
    js=(PARTS / "wall.js").read_text("utf-8"),
)


@st.fragment(run_every=LIVE_S)
def draw_projector(round_id: int) -> None:
    """Looks every two seconds, and changes only what has changed."""
    try:
        found = next((each for each in shared.rounds() if each.id == round_id), None)
        if found is None:
            st.rerun()
        _draw(found)
    except CompetitionError as exc:
        show_competition_problem(exc)


def _draw(found: Round) -> None:
    why = why_unplayable(found)
    if why is not None:
        st.warning(f"{as_plain(capitalised(why))}.", title="This round cannot be played here")
        return
    n_people, n_submissions = shared.counts(found)
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.title(as_plain(found.title), width="content", anchor=False)
        state_badge(found)
    said = f"{count(n_people, 'participant')} · {count(n_submissions, 'submission')}"
    frozen = f" · :material/ac_unit: board frozen at {when(found.frozen_ms)}" if found.frozen_ms else ""
    st.markdown(f"#### {said}{frozen}")
    latest = shared.latest_final(found)
    if latest is not None:
        final, progress, standings = latest
        if final.state == "running":
            draw_progress(final, progress)
        if final.released_ms is not None and standings:
            _draw_final(found, final, standings)
            return
    is_public = shared.is_scores_public(found)
    rows = shared.public_board(found) if is_public else ()
    max_score = find_challenge(found.challenge).max_score
    lines = [wall_line(row, found, max_score) for row in rows[:SHOWN_PLACES]]
    wall(
        data={"left_ms": left_ms(found), "podium": lines[:3], "places": lines[3:]},
        key=f"projector_wall_{found.uid}",
    )
    if not rows:
        st.markdown(f"### {NOTHING_YET if is_public else HIDDEN}")
        return
    st.plotly_chart(
        distribution([row.value for row in rows], max_score),
        key="projector_distribution",
        config=CHART_CONFIG,
        alt=f"Distribution of the best scores of {count(len(rows), 'participant')}",
    )


def _draw_final(found: Round, final: Final, standings: Sequence[Standing]) -> None:
    max_score = find_challenge(found.challenge).max_score
    lines = [
        {
            "place": str(line.place),
            "name": standing_name(line, found),
            "score": f"{line.mean:.1f} ({interval_text(line)})"
            if line.low is not None
            else f"{line.mean:.1f}",
            "share": max(0.0, min(1.0, line.mean / max_score)),
        }
        for line in standings[:SHOWN_PLACES]
    ]
    wall(data={"left_ms": None, "podium": lines[:3], "places": lines[3:]}, key=f"projector_final_{final.id}")
    st.markdown(f"#### {about_final(final)}")


def wall_line(row: BoardRow, found: Round, max_score: float) -> dict[str, str | float]:
    """What the wall shows of a participant; plain text."""
    return {
        "place": str(row.place),
        "name": shown_name(row, found),
        "score": points(round(row.value, 1)),
        "share": max(0.0, min(1.0, row.value / max_score)),
    }
