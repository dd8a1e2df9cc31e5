"""Many users and money: speed per user, throughput and cost over the number of concurrent streams."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from pages.parts.charts import with_legend_below
from pages.parts.wafer.chart import Chart, log_axis, mark_x, mark_y, rate
from wse_backend.wafer.economics import Pipeline, Prices, break_even, streams_axis
from wse_backend.wafer.placement import Placement


def streams_chart(pipeline: Pipeline, placement: Placement) -> Chart:
    """Tokens/s of one user and of all over the number of concurrent streams."""
    streams = streams_axis(pipeline)
    per_user, in_all = pipeline.per_user(streams), pipeline.throughput(streams)
    figure = go.Figure()
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
    room = (
        f"SRAM holds the cache of {pipeline.held:,} at {placement.context:,} tokens each"
        if pipeline.held >= pipeline.full_at
        else f"but SRAM holds the cache of only {pipeline.held:,} at {placement.context:,} tokens each"
    )
    return Chart(
        "Speed over concurrent users",
        with_legend_below(figure),
        f"Every user keeps {rate(float(per_user[0]))} until {pipeline.full_at} streams fill the pipeline of "
        f"{len(pipeline.stages_s)} regions on {placement.wafers} x {placement.spec.name}; from there on all "
        f"share {rate(1 / pipeline.slowest_s)}; {room}.",
        "Two curves over concurrent streams: the user's speed is flat, then falls; the sum rises, then is "
        "flat",
    )


def cost_chart(pipeline: Pipeline, placement: Placement, prices: Prices) -> Chart:
    """USD per million tokens over the number of concurrent streams. Raises InvalidParams."""
    found = break_even(prices, pipeline, placement.wafers)
    streams = streams_axis(pipeline)
    costs = [prices.cost(placement.wafers, float(speed)) for speed in pipeline.throughput(streams)]
    figure = go.Figure()
    for name, values in (
        ("In all", [cost.total_usd for cost in costs]),
        ("Energy alone", [cost.energy_usd for cost in costs]),
    ):
        figure.add_scatter(
            x=streams, y=np.round(values, 5), name=name, mode="lines", hovertemplate="%{y:.3g} USD"
        )
    mark_y(figure, prices.usd_per_million, "price")
    figure.update_layout(height=360, hovermode="x unified")
    log_axis(figure.update_xaxes, "Concurrent streams (logarithmic)", 1, float(streams[-1]))
    drawn = [prices.usd_per_million, *(usd for cost in costs for usd in (cost.total_usd, cost.energy_usd))]
    low, high = min(usd for usd in drawn if usd > 0), max(drawn)
    log_axis(figure.update_yaxes, "USD per million tokens (logarithmic)", low / 2, high * 2)
    price = f"{prices.usd_per_million:g} USD"
    if not found.is_reached:
        paid = (
            f"even a full pipeline ({found.full.total_usd:,.2f} USD) costs more than the price of {price}, "
            "so the machines never pay at this price"
        )
    elif not found.has_room:
        paid = (
            f"{found.streams:,.0f} streams would pay for the machines at {price} per million, but the SRAM "
            f"holds the cache of only {pipeline.held:,}"
        )
    else:
        paid = f"{found.streams:,.0f} streams pay for the machines at {price} per million"
    return Chart(
        "Cost over concurrent users",
        with_legend_below(figure),
        f"One user alone pays {found.alone.total_usd:,.0f} USD per million tokens "
        f"({found.alone.capital_usd:,.0f} of capital, {found.alone.energy_usd:,.1f} of energy); {paid}.",
        "Curves of USD per million tokens over concurrent streams, falling until the pipeline is full",
    )
