"""Figures of the competition. No name is ever in them: Plotly takes some tags for its own."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from pages.parts.charts import with_legend_below

BINS = 12


def distribution(
    scores: Sequence[float], max_score: float, *, height_px: int = 220, font_px: int = 14
) -> go.Figure:
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
    ticks = [width * 2 * number for number in range(BINS // 2 + 1)]  # the last one is the maximum
    edge = max_score * 0.015
    figure.update_xaxes(title="Best score", range=[-edge, max_score + edge], tickvals=ticks, fixedrange=True)
    figure.update_yaxes(title="Participants", rangemode="tozero", tickformat="d", fixedrange=True)
    if max(counts, default=0) < 5:
        figure.update_yaxes(dtick=1)
    for update_axes in (figure.update_xaxes, figure.update_yaxes):
        update_axes(tickfont={"size": font_px}, title_font={"size": font_px})
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
