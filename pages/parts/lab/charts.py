"""The Lab's figures from plain data. Colours come from the theme."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from moa_core.experiments.drawing import Gain
from moa_core.experiments.spread import Spread
from pages.parts.charts import with_legend_below
from pages.state.text import shortened

ROW_PX = 64
SPREAD_ROWS = 0.22  # how far dots of one line are moved apart, in lines
LABEL_CHARS = 40


def dots(spreads: Sequence[Spread], maximum: float, mark: float | None) -> go.Figure:
    """One line per setup: every try a dot, the median a diamond with its 95 % interval."""
    figure = go.Figure()
    names = [shortened(each.label, LABEL_CHARS) for each in spreads]
    for row, each in enumerate(spreads):
        figure.add_scatter(
            x=list(each.values),
            y=[row + SPREAD_ROWS * offset for offset in _offsets(len(each.values))],
            mode="markers",
            name="A try",
            showlegend=row == 0,
            legendgroup="try",
            marker={"size": 9, "opacity": 0.55, "color": "#6b625a"},
            customdata=[trial.seed for trial in each.finished],
            hovertemplate="%{x:.4g} points, seed %{customdata}<extra></extra>",
        )
        if each.median is not None:
            low, high = each.interval or (each.median, each.median)
            figure.add_scatter(
                x=[each.median],
                y=[row],
                mode="markers",
                name="Median and its 95 % interval",
                showlegend=row == 0,
                legendgroup="median",
                marker={"size": 13, "symbol": "diamond", "color": "#b3440c"},
                error_x={
                    "type": "data",
                    "array": [high - each.median],
                    "arrayminus": [each.median - low],
                    "thickness": 2.5,
                    "width": 7,
                },
                hovertemplate="median %{x:.4g}<extra></extra>",
            )
    if mark is not None:
        figure.add_vline(x=mark, line_dash="dot", line_width=1)
    figure.update_layout(height=110 + ROW_PX * len(spreads))
    figure.update_xaxes(title="Points", range=[-0.02 * maximum, 1.04 * maximum])
    figure.update_yaxes(
        tickvals=list(range(len(names))), ticktext=names, range=[len(names) - 0.5, -0.5], showgrid=False
    )
    return with_legend_below(figure)


def gains(found: Sequence[Gain]) -> go.Figure:
    """One bar per part: the points that the whole has over itself without it, and the interval."""
    figure = go.Figure()
    for name, is_told in (("Sure to 95 %", True), ("Cannot be told from nothing", False)):
        own = [each for each in found if each.is_told == is_told]
        if not own:
            continue
        ends = [each.interval or (each.mean, each.mean) for each in own]
        figure.add_bar(
            y=[each.label for each in own],
            x=[each.mean for each in own],
            orientation="h",
            name=name,
            opacity=1.0 if is_told else 0.4,
            error_x={
                "type": "data",
                "array": [high - each.mean for each, (_, high) in zip(own, ends, strict=True)],
                "arrayminus": [each.mean - low for each, (low, _) in zip(own, ends, strict=True)],
            },
            hovertemplate="%{x:+.3g} points<extra>%{y}</extra>",
        )
    figure.update_layout(height=110 + 40 * len(found), bargap=0.35)
    figure.update_xaxes(title="Points that it gives")
    figure.update_yaxes(showgrid=False, categoryarray=[each.label for each in found][::-1])
    return with_legend_below(figure)


def heat(names: Sequence[str], matrix: Sequence[Sequence[float]]) -> go.Figure:
    """How alike every pair of answers is, 0 to 1; the share stands in each square."""
    values = np.array(matrix, np.float64)
    figure = go.Figure(
        go.Heatmap(
            x=list(names),
            y=list(names),
            z=values,
            zmin=0.0,
            zmax=1.0,
            colorscale=[[0.0, "#fdf1ea"], [1.0, "#b3440c"]],
            text=[[f"{value:.0%}" for value in row] for row in values],
            texttemplate="%{text}",
            hovertemplate="%{y} and %{x}: %{text}<extra></extra>",
            showscale=False,
        )
    )
    figure.update_layout(height=130 + 48 * len(names), margin={"l": 8, "r": 8, "t": 8, "b": 8})
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_xaxes(showgrid=False)
    return figure


def front(points: Sequence[tuple[float, float, str, bool]], maximum: float) -> go.Figure:
    """Score over tokens of every setup that was tried; the Pareto front is joined by a line."""
    figure = go.Figure()
    for name, is_front in (("Beaten in score or in tokens", False), ("Pareto front", True)):
        own = sorted(point for point in points if point[3] == is_front)
        figure.add_scatter(
            x=[point[0] for point in own],
            y=[point[1] for point in own],
            text=[point[2] for point in own],
            mode="lines+markers" if is_front else "markers",
            name=name,
            opacity=1.0 if is_front else 0.5,
            hovertemplate="%{y:.4g} points, %{x:,.0f} tokens<extra>%{text}</extra>",
        )
    figure.update_layout(height=360)
    most = max((point[0] for point in points), default=0.0) or 1.0
    figure.update_xaxes(title="Tokens written in a try", range=[0, 1.06 * most])
    figure.update_yaxes(title="Points", range=[-0.04 * maximum, 1.04 * maximum])
    return with_legend_below(figure)


def _offsets(count: int) -> list[float]:
    """Places between -1 and 1, neighbours far apart, the same for the same number of dots."""
    return [((index * 0.618) % 1.0) * 2 - 1 for index in range(count)]
