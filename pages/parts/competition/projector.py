"""The board for a wall: large type, live, readable on a phone too."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from grader import challenge as find_challenge
from grader.competition import (
    BoardRow,
    CompetitionError,
    Final,
    Progress,
    Round,
    Standing,
    now_ms,
    why_unplayable,
)
from pages.parts.charts import CHART_CONFIG
from pages.parts.competition import backend as shared
from pages.parts.competition.charts import distribution
from pages.parts.competition.final_view import about_final, interval_text, progress_text, standing_name
from pages.parts.competition.view import STATES, left_ms, show_competition_problem, shown_name, when
from pages.parts.report import points
from pages.parts.setup_share import qr_svg
from pages.state.join_address import join_address
from pages.state.text import as_plain, capitalised, count

LIVE_S = 2
SHOWN_PLACES = 10
WALL_FONT_PX = 22
NOTHING_YET = "The first score appears here by itself."
HIDDEN = "The board is shown when the round is closed."
PARTS = Path(__file__).parent / "projector_files"

# A chart is taken away and drawn again whenever its data changes; this is changed in place instead. It also
# hides the app's bar while it is there: a wall has no menu.
wall = st.components.v2.component(
    "competition_wall",
    html='<div class="wall"><div class="board">'
    '<div class="head"><div class="title"></div><div class="said"></div></div>'
    '<div class="news"></div>'
    '<div class="clock" role="timer"></div><div class="hint"></div><div class="podium"></div>'
    '<div class="places"></div><div class="join"><img class="code" alt="QR code of the address"/>'
    '<div class="address"></div></div></div></div>',
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
    latest = shared.latest_final(found)
    if latest is not None and latest[0].released_ms is not None and latest[2]:
        _draw_final(found, *latest)
        return
    is_public = shared.is_scores_public(found)
    rows = shared.public_board(found) if is_public else ()
    max_score = find_challenge(found.challenge).max_score
    lines = [wall_line(row, found, max_score) for row in rows[:SHOWN_PLACES]]
    hint = "" if rows else NOTHING_YET if is_public else HIDDEN
    if latest is not None and latest[0].state == "running":
        hint = progress_text(latest[0], latest[1])
    _wall(found, lines, hint, left_ms(found))
    if rows:
        st.plotly_chart(
            distribution([row.value for row in rows], max_score, height_px=340, font_px=WALL_FONT_PX),
            key="projector_distribution",
            config=CHART_CONFIG,
            alt=f"Distribution of the best scores of {count(len(rows), 'participant')}",
        )


def _wall(found: Round, lines: list[dict[str, str | float]], hint: str, left: int | None) -> None:
    """Title, counts, clock, podium, places, and how to join while that is possible."""
    n_people, n_submissions = shared.counts(found)
    state = STATES[found.state(now_ms())][0]
    said = f"{as_plain(find_challenge(found.challenge).title)} · "
    said += f"{state} · {count(n_people, 'participant')} · {count(n_submissions, 'submission')}"
    if found.frozen_ms:
        said += f" · board frozen at {when(found.frozen_ms)}"
    address = "" if found.state(now_ms()) == "closed" else join_address(st.context.url or "", found.uid)
    wall(
        data={
            "title": found.title,
            "said": said,
            "news": "" if found.state(now_ms()) == "closed" else found.announcement,
            "hint": hint,
            "left_ms": left,
            "podium": lines[:3],
            "places": lines[3:],
            "address": address.partition("?")[0],
            "code": qr_svg(address) if address else "",
        },
        key=f"projector_wall_{found.uid}",
    )


def _draw_final(found: Round, final: Final, progress: Progress, standings: Sequence[Standing]) -> None:
    max_score = find_challenge(found.challenge).max_score
    lines: list[dict[str, str | float]] = [
        {
            "place": str(line.place),
            "name": standing_name(line, found),
            "score": f"{line.mean:.1f}" + ("" if line.low is None else f" ({interval_text(line)})"),
            "share": max(0.0, min(1.0, line.mean / max_score)),
        }
        for line in standings[:SHOWN_PLACES]
    ]
    _wall(
        found, lines, progress_text(final, progress) if final.state == "running" else about_final(final), None
    )
    for prize, name in shared.winners(found):
        st.markdown(f"## :material/emoji_events: {as_plain(prize)}: {as_plain(name)}")


def wall_line(row: BoardRow, found: Round, max_score: float) -> dict[str, str | float]:
    """What the wall shows of a participant; plain text."""
    return {
        "place": str(row.place),
        "name": shown_name(row, found),
        "score": points(round(row.value, 1)),
        "share": max(0.0, min(1.0, row.value / max_score)),
    }
