"""Tokens/s over the side of a square grid, for both phases; measured points where there are any."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from pages.parts.charts import with_legend_below
from pages.parts.wafer.algorithms import STACKED_COLUMNS
from pages.parts.wafer.chart import (
    KIND_COLORS,
    Chart,
    add_band,
    extrapolated,
    mark_x,
    rate_between,
)
from pages.parts.wafer.view import View
from pages.state.wafer_setting import Setting
from wse_backend.wafer.timing import decode_seconds, prefill_seconds
from wse_backend.wafer.timing.constants import Residual
from wse_backend.wafer.timing.fitted import RESIDUALS
from wse_backend.wafer.timing.interval import between, bounds

TAB, NAME, ORDER = "Scaling", "Grid size", 10
SIDE_STEP = 5


def draw(view: View) -> tuple[Chart, ...]:
    """Decode and prefill."""
    return grid_chart(view.setting, "decode"), grid_chart(view.setting, "prefill")


def grid_chart(setting: Setting, phase: str) -> Chart:
    """One phase with all layers on one grid."""
    model, spec = setting.model, setting.spec
    tokens = setting.context if phase == "decode" else setting.prompt_tokens
    sides = np.arange(60, spec.largest_square + 1, SIDE_STEP)
    speeds = _speeds(setting, phase, sides)
    best = int(np.argmax(speeds[0]))
    rows = [
        row
        for row in RESIDUALS
        if row.phase == phase and row.model == model.name and row.tokens == tokens and spec.is_measured
    ]
    what = "Output tokens/s" if phase == "decode" else "Prompt tokens/s"
    figure = _figure(sides, speeds, rows, phase)
    mark_x(figure, int(sides[best]), "fastest", is_log=False, y=0.0)
    figure.update_yaxes(title=what, rangemode="tozero")
    on = f"{sides[best]} x {sides[best]} PEs: {rate_between(between(speeds[:, best], phase))}"
    if phase == "decode" and best < len(sides) - 1:
        last = rate_between(between(speeds[:, -1], phase))
        why = f"the whole wafer is slower ({last}), because every sum has to cross it"
    else:
        why = "arithmetic outweighs distance, so PEs pay" if phase == "prefill" else "all of it is at work"
    measured_for = "llama3-8b and qwen2-72b on WSE-2, 4,096 tokens"
    elsewhere = "" if rows else f" Hardware measurements exist for {measured_for}."
    return Chart(
        f"{phase.capitalize()} on grids of every size",
        with_legend_below(figure),
        f"{phase.capitalize()} is fastest on {on}; {why}. {tokens:,} tokens, one request, all transformer "
        "layers on one grid; SRAM left aside. Teeth come from tiles that are rounded up to whole "
        f"elements.{elsewhere}{extrapolated(model, spec, tokens)}",
        f"Curve of {what.lower()} over the grid's side, best at {sides[best]}",
        ("modelled", "measured") if rows else ("modelled",),
    )


def _figure(sides: np.ndarray, speeds: np.ndarray, rows: list[Residual], phase: str) -> go.Figure:
    figure = go.Figure()
    add_band(figure, sides, *bounds(speeds, phase))
    figure.add_scatter(
        x=sides,
        y=np.round(speeds[0], 1),
        name="Modelled",
        mode="lines",
        line={"color": KIND_COLORS["modelled"]},
        hovertemplate="%{y:,.0f} tokens/s",
    )
    if rows:
        figure.add_scatter(
            x=[row.grid for row in rows],
            y=[row.measured for row in rows],
            name="Measured (WaferLLM)",
            mode="markers",
            marker={"size": 10, "symbol": "diamond", "color": KIND_COLORS["measured"]},
            hovertemplate="%{y:,.0f} tokens/s",
        )
    figure.update_layout(height=340, hovermode="x unified")
    figure.update_xaxes(title="PEs per side of the grid")
    return figure


def _speeds(setting: Setting, phase: str, sides: np.ndarray) -> np.ndarray:
    """Tokens/s with the fitted constants and every refit, (1 + refits, sides)."""
    model, spec = setting.model, setting.spec
    if phase == "decode":
        routing = setting.routing(1)
        return 1 / decode_seconds(
            model, spec, sides, setting.context, routing=routing, constants=STACKED_COLUMNS
        )
    tokens, routing = setting.prompt_tokens, setting.routing(setting.prompt_tokens)
    return tokens / prefill_seconds(
        model, spec, sides, tokens, program=setting.program, routing=routing, constants=STACKED_COLUMNS
    )
