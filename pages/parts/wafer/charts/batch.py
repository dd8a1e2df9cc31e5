"""Batch: what everybody gets together, and what it does to one user's speed, on wafer and GPUs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from pages.parts.charts import with_legend_below
from pages.parts.wafer.chart import Chart, add_band, log_axis, rate, rate_between
from pages.parts.wafer.view import View
from wse_backend.wafer import gpu

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
    alone = {name: float(speed[0]) for name, speed in curves.items()}
    last = list(curves)[-1]
    ratio = alone[view.machine] / alone[last]
    beside = (
        f", on {last} {rate(alone[last])} give or take {100 * gpu.ROW_ERROR:.0f} %, {ratio:,.1f} times less"
        if last != view.machine
        else ""
    )
    crowd = f"{rate(float(curves[view.machine][-1]))} and {rate(float(curves[last][-1]))}"
    per_user = Chart(
        "Speed that one user sees",
        _figure(streams, curves, "Tokens/s of one user (logarithmic)", (low, high)),
        f"Alone on {view.on_machine} one user has {rate_between(view.intervals.token_s.rate)}{beside}; "
        f"among {streams[-1]} users {crowd}. Users share a pipeline of {len(placement.layer_regions)} "
        f"regions on the wafer, a batch on a GPU.{left_out}",
        "Curves of one user's tokens per second over the number of users, wafer and GPUs",
    )
    totals = {name: speed * streams for name, speed in curves.items()}
    gains = {name: float(total[-1] / total[0]) for name, total in totals.items()}
    together = Chart(
        "Tokens/s of all together",
        _figure(streams, totals, "Tokens/s of all together (logarithmic)", (low * streams, high * streams)),
        f"{streams[-1]} users at once get {gains[view.machine]:.1f} times the tokens/s of one on "
        f"{view.machine} and {gains[last]:,.0f} times on {last}: a GPU needs company to be worth its memory "
        f"reads, a wafer is fast alone and full with {view.pipeline.full_at}; its SRAM holds the cache of "
        f"{view.pipeline.held:,}.",
        "Curves of all users' tokens per second over the number of users, wafer and GPUs",
    )
    return per_user, together


def _figure(
    streams: np.ndarray,
    curves: Mapping[str, np.ndarray],
    title: str,
    band: tuple[np.ndarray, np.ndarray],
) -> go.Figure:
    """One curve for each machine; band: of the wafer's."""
    figure = go.Figure()
    add_band(figure, streams, *band)
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
