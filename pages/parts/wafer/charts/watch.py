"""Watch it run: one token, or one prompt, on its way from region to region, slowed down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from pages.parts.wafer.chart import KIND_COLORS, NEUTRAL, TEXT, Chart, duration, duration_between
from pages.parts.wafer.view import View
from wse_backend.wafer.passage import Stay, passage
from wse_backend.wafer.placement import Region

TAB, ORDER = "Floorplan", 10
FRAMES = 36
WAY = "#000001"  # the theme's first colour
SHOWN_S = 8.0  # the way over a wafer takes so long on the screen
NAMES = {"decode": "One token (decode)", "prefill": "One prompt (prefill)"}


def controls(view: View) -> Mapping[str, Any]:
    """Which phase, and on a model of several wafers which wafer."""
    with st.container(horizontal=True):
        phase = st.segmented_control(
            "Watch",
            list(NAMES),
            default="decode",
            required=True,
            format_func=NAMES.__getitem__,
            key="wafer_watch",
        )
        used = len({region.wafer for region in view.placement.layer_regions})
        wafer = 1
        if used > 1:
            wafer = st.number_input("Wafer", 1, used, 1, key="wafer_watch_wafer", width=120)
    return {"phase": str(phase), "wafer": int(wafer) - 1}


def draw(view: View, phase: str = "decode", wafer: int = 0) -> tuple[Chart, ...]:
    """The regions' outlines, and frames that light up where the activations are."""
    steps = passage(view.placement, view.pipeline, phase, wafer)
    whole_s = steps[-1].end_s
    factor = SHOWN_S / whole_s
    times = (np.arange(FRAMES) + 0.5) * whole_s / FRAMES
    at = [next(i for i, step in enumerate(steps) if t <= step.end_s) for t in times]
    frames = [
        go.Frame(name=str(n), data=_lit(steps, index, float(t)), traces=[1, 2])
        for n, (index, t) in enumerate(zip(at, times, strict=True))
    ]
    figure = go.Figure([_outlines(view, steps), *_lit(steps, at[0], float(times[0]))], frames=frames)
    spec = view.placement.spec
    figure.update_layout(
        height=600,
        margin={"l": 8, "r": 8, "t": 40, "b": 8},
        showlegend=False,
        updatemenus=[_buttons()],
        sliders=[_slider(times)],
    )
    figure.update_xaxes(title="PE column", range=[0, spec.columns], constrain="domain", showgrid=False)
    figure.update_yaxes(title="PE row", range=[spec.rows, 0], scaleanchor="x", showgrid=False)
    sure = view.intervals.token_s if phase == "decode" else view.intervals.prefill_s
    what = (
        "One token's activations"
        if phase == "decode"
        else f"The activations of a prompt of {view.setting.prompt_tokens:,} tokens"
    )
    here = sure.scaled(whole_s / sure.value)
    first, last = steps[0].region.layers[0], steps[-1].region.layers[-1]
    chart = Chart(
        f"Watch it run: {NAMES[phase].lower()}",
        figure,
        f"{what} go through transformer layers {first} to {last} on wafer {wafer + 1} in "
        f"{duration_between(here)}, shown {_factor(factor)}; the way over all wafers takes "
        f"{duration_between(sure)}. Press Play; drag the slider to stop anywhere. Behind a full pipeline "
        "every region would be lit, each by another stream.",
        f"Animated map of wafer {wafer + 1}: {len(steps)} regions light up one after another",
    )
    return (chart,)


def _factor(factor: float) -> str:
    """ "12,000 times slower", or faster where a prompt takes longer than the show."""
    return f"{factor:,.0f} times slower" if factor >= 1 else f"{1 / factor:,.1f} times faster"


def _box(region: Region) -> tuple[list[float], list[float]]:
    left, right, top, bottom = region.x, region.x + region.width, region.y, region.y + region.height
    return [left, right, right, left, left], [top, top, bottom, bottom, top]


def _outlines(view: View, steps: tuple[Stay, ...]) -> go.Scatter:
    x: list[float | None] = []
    y: list[float | None] = []
    wafer = steps[0].region.wafer
    for region in view.placement.regions:
        if region.wafer == wafer:
            columns, rows = _box(region)
            x, y = [*x, *columns, None], [*y, *rows, None]
    return go.Scatter(x=x, y=y, mode="lines", line={"width": 1, "color": NEUTRAL}, hoverinfo="skip")


def _lit(steps: tuple[Stay, ...], index: int, now_s: float) -> list[go.Scatter]:
    """The region that works, and the way so far with a label."""
    region = steps[index].region
    x, y = _box(region)
    way = [step.region for step in steps[: index + 1]]
    names = f"{region.layers[0]}" if len(region.layers) == 1 else f"{region.layers[0]} to {region.layers[-1]}"
    label = f"transformer layer {names} · {duration(now_s)}"
    lit = go.Scatter(
        x=x,
        y=y,
        mode="lines",
        fill="toself",
        line={"width": 2, "color": KIND_COLORS["modelled"]},
        hoverinfo="skip",
    )
    trail = go.Scatter(
        x=[round(one.x + one.width / 2) for one in way],
        y=[round(one.y + one.height / 2) for one in way],
        mode="lines+markers+text",
        text=[""] * (len(way) - 1) + [label],
        textposition=_side(region, steps),
        textfont={"size": 13, "color": TEXT},
        line={"width": 2, "color": WAY},
        marker={"size": 5, "color": WAY},
        hoverinfo="skip",
    )
    return [lit, trail]


def _side(region: Region, steps: tuple[Stay, ...]) -> str:
    """Where a label has room: away from the nearer edge."""
    right = max(step.region.x + step.region.width for step in steps)
    return "top right" if region.x + region.width / 2 < right / 2 else "top left"


def _buttons() -> dict[str, Any]:
    frame = {
        "frame": {"duration": round(1000 * SHOWN_S / FRAMES), "redraw": False},
        "transition": {"duration": 0},
    }
    stop = {"frame": {"duration": 0, "redraw": False}, "mode": "immediate"}
    return {
        "type": "buttons",
        "direction": "left",
        "showactive": False,
        "font": {"color": TEXT},
        "x": 0,
        "y": 1.0,
        "xanchor": "left",
        "yanchor": "bottom",
        "pad": {"b": 6},
        "buttons": [
            {"label": "Play", "method": "animate", "args": [None, {**frame, "fromcurrent": True}]},
            {"label": "Pause", "method": "animate", "args": [[None], stop]},
        ],
    }


def _slider(times: np.ndarray) -> dict[str, Any]:
    to = {"frame": {"duration": 0, "redraw": False}, "mode": "immediate"}
    return {
        "currentvalue": {"prefix": "since it came onto the wafer: about "},
        "pad": {"t": 52},
        "ticklen": 0,
        "font": {"color": TEXT},
        "steps": [
            {"label": duration(float(t)), "method": "animate", "args": [[str(n)], to]}
            for n, t in enumerate(times)
        ],
    }
