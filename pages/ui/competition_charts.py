"""Figures of the competition. Names are escaped: Plotly takes some tags and templates for its own."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from pages.ui.charts import with_legend_below
from pages.ui.report import points

BINS = 12
PODIUM_ORDER = (2, 1, 3)
PODIUM_HEIGHTS = {1: 3.0, 2: 2.4, 3: 2.0}
PODIUM_FONT_PX, PLACES_FONT_PX, CLOCK_FONT_PX = 44, 21, 72


def as_figure_text(text: str) -> str:
    """`text` as a figure shows it, letter by letter: no tags, no entities, no templates."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return escaped.replace("%{", "%\u200b{").replace("$", "&#36;")


def podium(first_three: Sequence[tuple[str, float]]) -> go.Figure:
    """Three steps with names and scores; the texts shrink until they fit, on a phone too."""
    placed = dict(enumerate(first_three, start=1))
    figure = go.Figure()
    for place in PODIUM_HEIGHTS:
        name, score = placed.get(place, ("", 0.0))
        text = (
            f"<b>{place}</b><br>{as_figure_text(name)}<br>{points(round(score, 1))}" if name else f"{place}"
        )
        figure.add_bar(
            x=[str(place)],
            y=[PODIUM_HEIGHTS[place]],
            text=[text],
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            textfont={"size": PODIUM_FONT_PX},
            constraintext="both",
            hoverinfo="skip",
            opacity=1.0 if name else 0.25,
        )
    figure.update_layout(height=340, bargap=0.04, showlegend=False, margin=_margin())
    figure.update_xaxes(
        visible=False,
        fixedrange=True,
        type="category",
        categoryorder="array",
        categoryarray=list(map(str, PODIUM_ORDER)),
    )
    figure.update_yaxes(visible=False, fixedrange=True, range=[0, 3.05])
    return figure


def places(rows: Sequence[tuple[int, str, float]], max_score: float) -> go.Figure:
    """The places below the podium: a line of text each, and under it a bar as long as the score.

    rows: place, name, score.
    """
    figure = go.Figure()
    lines = list(range(len(rows)))
    figure.add_bar(y=lines, x=[max_score] * len(rows), orientation="h", width=0.16, opacity=0.15)
    figure.add_bar(y=lines, x=[score for _, _, score in rows], orientation="h", width=0.16)
    for line, (place, name, score) in enumerate(rows):
        for text, x, anchor in (
            (f"<b>{place}  {as_figure_text(name)}</b>", 0.0, "left"),
            (f"<b>{points(round(score, 1))}</b>", max_score, "right"),
        ):
            figure.add_annotation(
                x=x,
                y=line - 0.1,
                text=text,
                showarrow=False,
                xanchor=anchor,
                yanchor="bottom",
                font={"size": PLACES_FONT_PX},
            )
    figure.update_layout(
        height=54 * len(rows), barmode="overlay", showlegend=False, hovermode=False, margin=_margin()
    )
    figure.update_xaxes(visible=False, fixedrange=True, range=[0, max_score])
    figure.update_yaxes(visible=False, fixedrange=True, range=[len(rows) - 0.7, -0.9])
    return figure


def distribution(scores: Sequence[float], max_score: float, *, height_px: int = 220) -> go.Figure:
    """How many participants have which best score."""
    figure = go.Figure()
    width = max_score / BINS
    counts = [0] * BINS
    for score in scores:
        counts[min(BINS - 1, int(score / width))] += 1
    figure.add_bar(
        x=[width * (number + 0.5) for number in range(BINS)],
        y=counts,
        width=width * 0.92,
        hovertemplate="%{y} participants<extra></extra>",
    )
    figure.update_layout(height=height_px, showlegend=False)
    figure.update_xaxes(title="Best score", range=[0, max_score], dtick=width * 2, fixedrange=True)
    figure.update_yaxes(title="Participants", rangemode="tozero", tickformat="d", fixedrange=True)
    if max(counts, default=0) < 5:
        figure.update_yaxes(dtick=1)
    return with_legend_below(figure)


def scores_over_time(scores: Sequence[float], max_score: float) -> go.Figure:
    """A participant's scores, submission after submission, and the best so far."""
    numbers = list(range(1, len(scores) + 1))
    best = [max(scores[:number]) for number in numbers]
    figure = go.Figure()
    figure.add_scatter(
        x=numbers, y=best, name="Best so far", mode="lines", line={"shape": "hv", "dash": "dot"}
    )
    figure.add_scatter(x=numbers, y=list(scores), name="Score", mode="lines+markers", marker={"size": 9})
    figure.update_layout(height=240)
    figure.update_xaxes(title="Submission", dtick=max(1, len(scores) // 12), range=[0.7, len(scores) + 0.3])
    figure.update_yaxes(title="Score", range=[0, max_score * 1.04])
    return with_legend_below(figure)


def clock(text: str) -> go.Figure:
    """The countdown in large type."""
    figure = go.Figure()
    figure.add_annotation(
        text=text, x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False, font={"size": CLOCK_FONT_PX}
    )
    figure.update_layout(height=96, margin=_margin())
    figure.update_xaxes(visible=False, fixedrange=True)
    figure.update_yaxes(visible=False, fixedrange=True)
    return figure


def _margin() -> dict[str, int]:
    return {"l": 0, "r": 0, "t": 0, "b": 0}
