"""The timeline of a run: a lane per agent, its calls in it, so that who worked together stands together."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
import streamlit as st

from pages.parts.charts import CHART_CONFIG, with_legend_below
from pages.state.lanes import Stretch, lane_names
from pages.state.text import count

LANE_PX, FRAME_PX = 30, 92


def lanes_figure(stretches: Sequence[Stretch], total_s: float | None = None) -> go.Figure:
    """Per call a thin bar until its first token, a thick one while it wrote; a colour per agent layer."""
    figure = go.Figure()
    lanes = lane_names(list(stretches))
    figure.add_bar(
        y=[stretch.lane for stretch in stretches],
        x=[stretch.waited_s for stretch in stretches],
        base=[stretch.start_s for stretch in stretches],
        width=0.2,
        name="Until the first token",
        orientation="h",
        marker={"color": "#948a80"},
        customdata=[[stretch.layer, stretch.waited_s] for stretch in stretches],
        hovertemplate="%{customdata[0]}: %{customdata[1]:.2f} s until the first token<extra></extra>",
    )
    for layer in dict.fromkeys(stretch.layer for stretch in stretches):
        mine = [stretch for stretch in stretches if stretch.layer == layer]
        figure.add_bar(
            y=[stretch.lane for stretch in mine],
            x=[stretch.wrote_s for stretch in mine],
            base=[stretch.first_s for stretch in mine],
            width=0.62,
            name=f"{layer} writes",
            orientation="h",
            marker={"pattern": {"shape": ["x" if stretch.is_failed else "" for stretch in mine]}},
            customdata=[[stretch.wrote_s, stretch.tokens or "–"] for stretch in mine],
            hovertemplate="%{customdata[0]:.2f} s, %{customdata[1]} tokens<extra>%{fullData.name}</extra>",
        )
    figure.update_layout(barmode="overlay", height=FRAME_PX + LANE_PX * len(lanes))
    end_s = total_s or max((stretch.end_s for stretch in stretches), default=1.0)
    figure.update_xaxes(title="Seconds since the run started", range=[0, max(end_s, 0.1) * 1.02])
    figure.update_yaxes(categoryorder="array", categoryarray=lanes, autorange="reversed", showgrid=False)
    return with_legend_below(figure)


def draw_lanes(stretches: Sequence[Stretch], total_s: float | None = None, key: str | None = None) -> None:
    """The timeline of a run, live (without a key) or of one that has ended."""
    st.plotly_chart(
        lanes_figure(stretches, total_s),
        config=CHART_CONFIG,
        key=key,
        alt=f"When each of {count(len(stretches), 'call')} waited for its first token and when it wrote",
    )
