"""Prefill as the published program runs it, beside what a program with grouped K and V would take."""

from __future__ import annotations

import plotly.graph_objects as go

from pages.parts.charts import with_legend_below
from pages.parts.wafer.chart import KIND_COLORS, Chart, error_bars
from pages.parts.wafer.view import View
from wse_backend.wafer.shapes import PRESETS
from wse_backend.wafer.spec import WSE2
from wse_backend.wafer.timing import prefill_seconds
from wse_backend.wafer.timing.constants import Residual
from wse_backend.wafer.timing.fitted import RESIDUALS, VARIANTS
from wse_backend.wafer.timing.interval import Interval, interval

TAB, ORDER = "Evidence", 20


def draw(view: View | None = None) -> tuple[Chart, ...]:
    """Every measured row of prefill."""
    del view
    rows = [row for row in RESIDUALS if row.phase == "prefill"]
    labels = [f"{row.model}, {row.grid} x {row.grid}" for row in rows]
    published, grouped = ([_speed(row, program) for row in rows] for program in ("reference", "grouped"))
    figure = go.Figure()
    for name, values, symbol in (
        ("As published, modelled", published, "circle"),
        ("Grouped K and V, modelled", grouped, "circle-open"),
    ):
        figure.add_scatter(
            y=labels,
            x=[round(found.value, 1) for found in values],
            error_x=error_bars(values),
            name=name,
            mode="markers",
            marker={"size": 11, "symbol": symbol, "color": KIND_COLORS["modelled"], "line": {"width": 2}},
            hovertemplate="%{x:,.0f} tokens/s",
        )
    figure.add_scatter(
        y=labels,
        x=[row.measured for row in rows],
        name="Measured (WaferLLM)",
        mode="markers",
        marker={"size": 11, "symbol": "diamond", "color": KIND_COLORS["measured"]},
        hovertemplate="%{x:,.0f} tokens/s",
    )
    figure.update_layout(height=330)
    figure.update_xaxes(title="Prompt tokens/s", rangemode="tozero")
    figure.update_yaxes(autorange="reversed", showgrid=False, ticksuffix=" ")
    built = VARIANTS[0]
    other = next(variant for variant in VARIANTS if "grouped" in variant.name)
    gains = [one.value / other.value - 1 for one, other in zip(grouped, published, strict=True)]
    chart = Chart(
        "Prefill: the published program, and one that knows of grouped K and V",
        with_legend_below(figure),
        "The published launch code projects K and V as wide as Q. Timed so, a model that was left out of "
        f"the fit is off by {built.model_out[1]:.1f} % in prefill, with grouped K and V by "
        f"{other.model_out[1]:.1f} %. A program that used the grouping would be {min(gains):.0%} to "
        f"{max(gains):.0%} faster on these rows: "
        "modelled, measured by nobody. Decode's rows fit grouped K and V better, so decode is timed with "
        "them.",
        "Points of prompt tokens per second for six measured rows, two models of each beside it",
        ("modelled", "measured"),
    )
    return (chart,)


def _speed(row: Residual, program: str) -> Interval:
    """Prompt tokens/s of a measured row's setting."""
    model = PRESETS[row.model]
    found = interval(
        lambda constants: prefill_seconds(
            model, WSE2, row.grid, row.tokens, program=program, constants=constants
        ),
        "prefill",
    )
    return found.rate.scaled(row.tokens)
