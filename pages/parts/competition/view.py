"""What the Competition and the Host page both show: names, times, boards."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pandas as pd
import streamlit as st

from grader.competition import (
    BoardRow,
    CompetitionError,
    Kind,
    Round,
    StoreError,
    StoreFull,
    Submission,
    now_ms,
)
from pages.parts.report import points
from pages.state.model_choice import dollars
from pages.state.text import as_plain, capitalised, count

KIND_NAMES: dict[Kind, str] = {
    "best": "Best score",
    "lowest": "Lowest score",
    "improved": "Most improved",
    "thrifty": "Points per 1,000 tokens",
}
VALUE_NAMES: dict[Kind, str] = {
    "best": "Score",
    "lowest": "Score",
    "improved": "Points gained",
    "thrifty": "Points per 1,000 tokens",
}
STATES = {
    "draft": ("Not open yet", "gray", ":material/edit_calendar:"),
    "waiting": ("Opens soon", "orange", ":material/schedule:"),
    "open": ("Open", "green", ":material/play_circle:"),
    "closed": ("Closed", "red", ":material/stop_circle:"),
}
LIVE_S, LOOKS_PER_S = 4.0, 20
PLACE_PX, NAME_PX, SCORE_PX = 58, 140, 140  # what fits on a phone; a wider table stretches them


def pace_s(n_people: int) -> float:
    """Seconds between two looks of a live part. The more people look, the less often each of them does.

    A look costs the server some ten milliseconds, and two hundred browsers look for as many people.
    """
    return max(LIVE_S, n_people / LOOKS_PER_S)


def shown_name(row: BoardRow, found: Round) -> str:
    """The nickname, or a number while names are hidden; plain text, still to be escaped."""
    return f"Player {row.number}" if found.has_hidden_names else row.nickname


def left_ms(found: Round) -> int | None:
    """Milliseconds until it opens, or until it closes; None when there is nothing to wait for."""
    now = now_ms()
    state = found.state(now)
    until_ms = found.opens_ms if state == "waiting" else found.closes_ms if state == "open" else None
    return None if until_ms is None else until_ms - now


def countdown(found: Round) -> str:
    """`left_ms` as a clock: "12:34", "1:02:03"; "" when there is nothing to wait for."""
    waiting_ms = left_ms(found)
    return "" if waiting_ms is None else clock_text(waiting_ms / 1000)


def clock_text(left_s: float) -> str:
    """Seconds as a clock shows them; never below zero."""
    seconds = max(0, round(left_s))
    hours, minutes = seconds // 3600, seconds // 60 % 60
    return f"{hours}:{minutes:02d}:{seconds % 60:02d}" if hours else f"{minutes}:{seconds % 60:02d}"


def when(at_ms: int) -> str:
    """A time of day in the reader's own time zone."""
    zone = st.context.timezone
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    return f"{pd.Timestamp(at).tz_convert(zone or 'UTC'):%H:%M:%S}"


def outcome(submission: Submission) -> str:
    """What a submission scored, and what it cost where prices were known: "45 points, $0.0023"."""
    score = "waiting for its grade" if submission.score is None else f"{points(submission.score)} points"
    return score if submission.cost_usd is None else f"{score}, {dollars(submission.cost_usd)}"


def state_badge(found: Round) -> None:
    """Open, closed ..."""
    label, colour, icon = STATES[found.state(now_ms())]
    st.badge(label, color=colour, icon=icon)  # type: ignore[arg-type]


def board_table(
    rows: Sequence[BoardRow], found: Round, kind: Kind, *, max_score: float, mine: int | None = None
) -> None:
    """A board as a table; nicknames are cells, so nothing in them is ever Markdown."""
    if not rows:
        st.caption("Nobody stands on this board yet.")
        return
    frame = pd.DataFrame(
        {
            "place": [row.place for row in rows],
            "name": [
                shown_name(row, found) + (" (you)" if row.participant_id == mine else "") for row in rows
            ],
            "value": [row.value for row in rows],
            "score": [row.score for row in rows],
            "tokens": [row.tokens for row in rows],
            "time": [when(row.created_ms) for row in rows],
            "n": [row.n_submissions for row in rows],
        }
    )
    is_score = kind in ("best", "lowest")
    value = (
        st.column_config.ProgressColumn(
            VALUE_NAMES[kind], min_value=0, max_value=max_score, format="%.1f", width=SCORE_PX
        )
        if is_score
        else st.column_config.NumberColumn(VALUE_NAMES[kind], format="%.1f")
    )
    st.dataframe(
        frame.drop(columns=["score"]) if is_score else frame,
        hide_index=True,
        height="content" if len(rows) <= 12 else 460,
        column_config={
            "place": st.column_config.NumberColumn("Place", width=PLACE_PX),
            "name": st.column_config.TextColumn("Name", width=NAME_PX),
            "value": value,
            "score": st.column_config.NumberColumn("Score", format="%.1f", width="small"),
            "tokens": st.column_config.NumberColumn("Tokens", format="localized", width="small"),
            "time": st.column_config.TextColumn("Submitted", width="small"),
            "n": st.column_config.NumberColumn("Submissions", width="small"),
        },
        alt=f"{KIND_NAMES[kind]}: {count(len(rows), 'participant')}, "
        f"the first with {points(round(rows[0].value, 1))}",
    )


def show_competition_problem(error: CompetitionError, *, kept: str = "") -> None:
    """What the competition refuses or cannot do, and what to do about it."""
    said = as_plain(capitalised(str(error)))
    if isinstance(error, StoreError):
        step = (
            "Tell the host: the database's disk is full."
            if isinstance(error, StoreFull)
            else "Try again in a moment. If it stays so, tell the host."
        )
        st.error(f"{said}.\n\n{kept or ''} {step}", title="The competition's database did not answer")
        return
    st.warning(f"{said}. {kept}", title="Not this time", icon=":material/block:")
