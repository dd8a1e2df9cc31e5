"""What the Host, the Competition page and the projector show of a final."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from grader.competition import Final, Progress, Round, Standing, now_ms
from pages.parts.competition.view import NAME_PX, PLACE_PX, SCORE_PX
from pages.parts.report import points
from pages.state.text import count, seconds

STATE_NAMES = {
    "running": "running",
    "cancelled": "cancelled",
    "capped": "stopped at its cost cap",
    "done": "done",
}


def standing_name(line: Standing, found: Round) -> str:
    """The nickname, or a number while names are hidden; plain text."""
    return f"Player {line.number}" if found.has_hidden_names else line.nickname


def interval_text(line: Standing) -> str:
    """ "61.2 to 88.9"; "" for fewer than two runs."""
    return "" if line.low is None or line.high is None else f"{line.low:.1f} to {line.high:.1f}"


def about_final(final: Final) -> str:
    """How the board came about, in one sentence."""
    seeds = count(len(final.seeds), "seed")
    return (
        f"Every setup ran on {seeds} that nobody had seen. The mean ranks, with its 95 % interval; "
        "of equal means, fewer tokens."
    )


def progress_text(final: Final, progress: Progress) -> str:
    """How far it is, in runs, time and money."""
    said = [f"Final {STATE_NAMES[final.state]}: {progress.n_done} of {count(progress.n_runs, 'run')}"]
    if final.state == "running" and progress.n_done:
        said.append(f"about {seconds(time_left_s(final, progress))} left")
    if progress.n_failed:
        said.append(f"{progress.n_failed} failed")
    if final.prompt_price is not None or final.completion_price is not None:
        cap = "" if final.cost_cap is None else f" of {final.cost_cap:.2f}"
        said.append(f"{progress.dollars:.2f}{cap} dollars")
    return " · ".join(said)


def draw_progress(final: Final, progress: Progress) -> None:
    """How far it is, as a bar and in words."""
    share = progress.n_done / progress.n_runs if progress.n_runs else 0.0
    st.progress(share, text=progress_text(final, progress))


def time_left_s(final: Final, progress: Progress) -> float:
    """What the runs that are left take, if they take as long as those that were."""
    so_far_s = (now_ms() - final.created_ms) / 1000
    return so_far_s / progress.n_done * (progress.n_runs - progress.n_done)


def final_table(
    standings: Sequence[Standing], found: Round, *, max_score: float, mine: int | None = None
) -> None:
    """The standings as a table; nicknames are cells, so nothing in them is ever Markdown."""
    if not standings:
        st.caption("No run has ended yet.")
        return
    frame = pd.DataFrame(
        {
            "place": [line.place for line in standings],
            "name": [
                standing_name(line, found) + (" (you)" if line.participant_id == mine else "")
                for line in standings
            ],
            "mean": [line.mean for line in standings],
            "interval": [interval_text(line) for line in standings],
            "tokens": [line.tokens for line in standings],
            "scores": [", ".join(points(score) for score in line.scores) for line in standings],
            "failed": [line.n_failed for line in standings],
        }
    )
    st.dataframe(
        frame if frame["failed"].any() else frame.drop(columns=["failed"]),
        hide_index=True,
        height="content" if len(standings) <= 12 else 460,
        column_config={
            "place": st.column_config.NumberColumn("Place", width=PLACE_PX),
            "name": st.column_config.TextColumn("Name", width=NAME_PX),
            "mean": st.column_config.ProgressColumn(
                "Mean score", min_value=0, max_value=max_score, format="%.1f", width=SCORE_PX
            ),
            "interval": st.column_config.TextColumn("95 % interval", width="small"),
            "tokens": st.column_config.NumberColumn("Tokens a run", format="localized", width="small"),
            "scores": st.column_config.TextColumn("Seed by seed"),
            "failed": st.column_config.NumberColumn("Failed runs", width="small"),
        },
        alt=f"Final: {count(len(standings), 'participant')}, the first with a mean of "
        f"{points(round(standings[0].mean, 1))}",
    )
