"""Batch: what everybody gets together, and what it does to one user's speed, on wafer and GPUs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from pages.parts.charts import with_legend_below
from pages.parts.wafer.chart import Chart, add_band, log_axis, rate_between, times_between
from pages.parts.wafer.view import View
from wse_backend.wafer import gpu
from wse_backend.wafer.timing.interval import Interval

TAB, NAME, ORDER = "Scaling", "GPUs and batch", 40
STREAMS = 256
POINTS = 32


def controls(view: View) -> Mapping[str, Any]:
    """How many GPUs each matrix is cut among."""
    least = gpu.needed_gpus(view.setting.model, gpu.B200, view.setting.context)
    choices = [n for n in gpu.TENSOR_PARALLEL if n >= least] or [least]
    chosen = st.segmented_control(
        "GPUs (tensor parallelism)",
        choices,
        default=8 if 8 in choices else choices[0],
        required=True,
        key=f"wafer_gpus_{choices[0]}",
    )
    return {"gpus": int(chosen)}


def draw(view: View, gpus: int = 8) -> tuple[Chart, ...]:
    """One user's speed, and all users' together."""
    setting, placement = view.setting, view.placement
    streams = np.unique(np.geomspace(1, STREAMS, POINTS).astype(int))
    curves = {view.machine: view.pipeline.per_user(streams)}
    low, high = view.intervals.per_user(streams)
    too_small = []
    for spec in gpu.GPUS:
        needed = gpu.needed_gpus(setting.model, spec, setting.context)
        if needed > gpus:
            too_small.append(f"{spec.name} ({needed} would do)")
            continue
        seconds = [gpu.decode_seconds(setting.model, spec, gpus, setting.context, int(n)) for n in streams]
        curves[f"{gpus} x {spec.name}" if gpus > 1 else spec.name] = 1 / np.array(seconds)
    left_out = f" Too small: {', '.join(too_small)}." if too_small else ""
    last, here = list(curves)[-1], view.intervals.token_s.rate
    ends = {name: gpu.unsure(float(curves[last][end])) for name, end in (("alone", 0), ("crowded", -1))}
    together_here = Interval(float(curves[view.machine][-1]), float(low[-1]), float(high[-1]))
    crowd = rate_between(together_here)
    beside = ""
    if last != view.machine:
        beside = f", {times_between(here.over(ends['alone']))} the {rate_between(ends['alone'])} of {last}"
        crowd += f" and {rate_between(ends['crowded'])}"
    per_user = Chart(
        "Speed that one user sees",
        _figure(streams, curves, "Tokens/s of one user (logarithmic)", (low, high)),
        f"Alone on {view.on_machine} one user has {rate_between(here)}{beside}; among {streams[-1]} users "
        f"{crowd}. Users share a pipeline of {len(placement.layer_regions)} regions on the wafer, a batch on "
        f"a GPU. GPUs have the A100's measured shares of their own figures, {100 * gpu.ROW_ERROR:.0f} % to "
        f"either side.{left_out}",
        "Curves of one user's tokens per second over the number of users, wafer and GPUs",
    )
    totals = {name: speed * streams for name, speed in curves.items()}
    gain = together_here.scaled(float(streams[-1])).over(here)
    on_gpus = ends["crowded"].scaled(float(streams[-1])).over(ends["alone"])
    gained = f" and {times_between(on_gpus)} on {last}" if last != view.machine else ""
    together = Chart(
        "Tokens/s of all together",
        _figure(streams, totals, "Tokens/s of all together (logarithmic)", (low * streams, high * streams)),
        f"{streams[-1]} users at once get {times_between(gain)} the tokens/s of one on {view.on_machine}"
        f"{gained}: a GPU needs company to be worth its memory reads, a wafer is fast alone and full with "
        f"{view.pipeline.full_at}; its SRAM holds the cache of {view.pipeline.held:,}.",
        "Curves of all users' tokens per second over the number of users, wafer and GPUs",
    )
    return per_user, together


def _figure(
    streams: np.ndarray,
    curves: Mapping[str, np.ndarray],
    title: str,
    band: tuple[np.ndarray, np.ndarray],
) -> go.Figure:
    """One curve for each machine, the wafer's first; band: of the wafer's."""
    figure = go.Figure()
    add_band(figure, streams, *band)
    for values in list(curves.values())[1:]:
        add_band(figure, streams, values * (1 - gpu.ROW_ERROR), values * (1 + gpu.ROW_ERROR), is_named=False)
    for name, values in curves.items():
        figure.add_scatter(
            x=streams, y=np.round(values, 1), name=name, mode="lines", hovertemplate="%{y:,.0f} tokens/s"
        )
    figure.update_layout(height=380, hovermode="x unified")
    log_axis(figure.update_xaxes, "Concurrent users (logarithmic)", 1, STREAMS)
    least = min(float(values.min()) for values in curves.values())
    most = max(float(values.max()) for values in curves.values())
    log_axis(figure.update_yaxes, title, least / 1.5, most * 1.5)
    return with_legend_below(figure)
