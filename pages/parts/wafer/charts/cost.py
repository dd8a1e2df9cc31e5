"""USD per million tokens over the number of concurrent streams, from inputs that people can change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from pages.parts.charts import with_legend_below
from pages.parts.wafer.chart import Chart, add_band, extrapolated, log_axis, mark_y
from pages.parts.wafer.view import View
from wse_backend.wafer.economics import Prices, break_even, streams_axis
from wse_backend.wafer.timing.interval import Interval

TAB, ORDER = "Users and cost", 20
DEFAULT = Prices(2.5e6, 23.0, 3.0, 0.20, 0.60)


def controls(view: View) -> Mapping[str, Any]:
    """Inputs that people can change; none of them is a fact but the power."""
    del view
    with st.grid(5, min_column_width=140):
        system = st.number_input("Price of a system (million USD)", 0.0, None, 2.5, 0.5, key="wafer_usd")
        power = st.number_input("Power of a system (kW)", 0.0, None, 23.0, 1.0, key="wafer_kw")
        years = st.number_input("Years of use", 0.0, None, 3.0, 0.5, key="wafer_years")
        kwh = st.number_input("Energy (USD per kWh)", 0.0, None, 0.20, 0.05, key="wafer_kwh")
        price = st.number_input("Price (USD per million tokens)", 0.0, None, 0.60, 0.1, key="wafer_price")
    return {"prices": Prices(system * 1e6, power, years, kwh, price)}


def draw(view: View, prices: Prices = DEFAULT) -> tuple[Chart, ...]:
    """Falling until the pipeline is full. Raises InvalidParams."""
    pipeline, placement, alone = view.pipeline, view.placement, view.intervals.token_s
    found = break_even(prices, pipeline, placement.wafers)
    streams = streams_axis(pipeline)
    costs = [prices.cost(placement.wafers, float(speed)) for speed in pipeline.throughput(streams)]
    slow, fast = (speed * streams for speed in view.intervals.per_user(streams))
    dear = np.array([prices.cost(placement.wafers, float(speed)).total_usd for speed in slow])
    cheap = np.array([prices.cost(placement.wafers, float(speed)).total_usd for speed in fast])
    figure = go.Figure()
    add_band(figure, streams, cheap, dear)
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
    full = _usd(found.full.total_usd, view.intervals.slowest_s, 2)
    enough = found.streams / alone.value
    streams_needed = f"{found.streams:,.0f} ({enough * alone.low:,.0f} to {enough * alone.high:,.0f}) streams"
    if not found.is_reached:
        paid = (
            f"even a full pipeline ({full}) costs more than the price of {price}, "
            "so the machines never pay at this price"
        )
    elif not found.has_room:
        paid = (
            f"{streams_needed} would pay for the machines at {price} per million, but the SRAM "
            f"holds the cache of only {pipeline.held:,}"
        )
    else:
        paid = f"{streams_needed} pay for the machines at {price} per million"
    far = extrapolated(placement.model, placement.spec, placement.context, placement.wafers)
    chart = Chart(
        "Cost over concurrent users",
        with_legend_below(figure),
        f"One user alone pays {_usd(found.alone.total_usd, alone, 0)} per million tokens, "
        f"{_usd(found.alone.capital_usd, alone, 0)} of capital, {_usd(found.alone.energy_usd, alone, 1)} of "
        f"energy; {paid}.{far} 23 kW is the published power of one system; the prices are inputs, not "
        "facts; the machines are taken to run without a pause.",
        "Curves of USD per million tokens over concurrent streams, falling until the pipeline is full",
    )
    return (chart,)


def _usd(usd: float, seconds: Interval, digits: int) -> str:
    """A cost with its interval: it goes with the seconds of a token."""
    low, high = (usd * end / seconds.value for end in (seconds.low, seconds.high))
    return f"{usd:,.{digits}f} USD ({low:,.{digits}f} to {high:,.{digits}f})"
