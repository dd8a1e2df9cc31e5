"""Tokens/s of one user and of all over the number of concurrent streams."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from pages.parts.charts import with_legend_below
from pages.parts.wafer.chart import Chart, add_band, extrapolated, log_axis, mark_x, rate_between
from pages.parts.wafer.view import View
from wse_backend.wafer.economics import streams_axis

TAB, ORDER = "Users and cost", 10


def draw(view: View) -> tuple[Chart, ...]:
    """Flat until the pipeline is full."""
    pipeline, placement = view.pipeline, view.placement
    streams = streams_axis(pipeline)
    per_user, in_all = pipeline.per_user(streams), pipeline.throughput(streams)
    low, high = view.intervals.per_user(streams)
    figure = go.Figure()
    add_band(figure, streams, low, high)
    add_band(figure, streams, low * streams, high * streams, is_named=False)
    for name, values in (("One user", per_user), ("All users", in_all)):
        figure.add_scatter(
            x=streams, y=np.round(values, 1), name=name, mode="lines", hovertemplate="%{y:,.0f} tokens/s"
        )
    mark_x(figure, pipeline.full_at, "pipeline full")
    if pipeline.held > 0:
        mark_x(figure, pipeline.held, "SRAM full", y=0.0)
    figure.update_layout(height=360, hovermode="x unified")
    log_axis(figure.update_xaxes, "Concurrent streams (logarithmic)", 1, float(streams[-1]))
    log_axis(
        figure.update_yaxes, "Tokens/s (logarithmic)", float(per_user.min()) / 2, float(in_all.max()) * 2
    )
    only = "" if pipeline.held >= pipeline.full_at else "only "
    sure = view.intervals
    far = extrapolated(placement.model, placement.spec, placement.context, placement.wafers)
    chart = Chart(
        "Speed over concurrent users",
        with_legend_below(figure),
        f"Every user keeps {rate_between(sure.token_s.rate)} until {pipeline.full_at} streams fill the "
        f"pipeline of {len(pipeline.stages_s)} regions on {view.on_machine}; from there on all share "
        f"{rate_between(sure.slowest_s.rate)}; SRAM holds the cache of {only}{pipeline.held:,} at "
        f"{placement.context:,} tokens each.{far}",
        "Two curves over concurrent streams: the user's speed is flat, then falls; the sum rises, then is "
        "flat",
    )
    return (chart,)
