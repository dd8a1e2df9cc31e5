"""Prefill as the published program runs it, beside what a program with grouped K and V would take."""

from __future__ import annotations

import plotly.graph_objects as go

from pages.parts.charts import with_legend_below
from pages.parts.wafer.chart import KIND_COLORS, Chart
from pages.parts.wafer.view import View
from wse_backend.wafer.spec import WSE2
from wse_backend.wafer.timing import prefill
from wse_backend.wafer.timing.fitted import RESIDUALS, VARIANTS

TAB, ORDER = "Evidence", 20


def draw(view: View | None = None) -> tuple[Chart, ...]:
    """Every measured row of prefill."""
    del view
    rows = [row for row in RESIDUALS if row.phase == "prefill"]
    labels = [f"{row.model}, {row.grid} x {row.grid}" for row in rows]
    grouped = [
        prefill(row.model, WSE2, (row.grid, row.grid), row.tokens, program="grouped").tokens_per_second
        for row in rows
    ]
    figure = go.Figure()
    for name, values, symbol, color in (
        ("As published, modelled", [row.predicted for row in rows], "circle", KIND_COLORS["modelled"]),
        ("Measured (WaferLLM)", [row.measured for row in rows], "diamond", KIND_COLORS["measured"]),
        ("Grouped K and V, modelled", grouped, "circle-open", KIND_COLORS["modelled"]),
    ):
        figure.add_scatter(
            y=labels,
            x=[round(value, 1) for value in values],
            name=name,
            mode="markers",
            marker={"size": 11, "symbol": symbol, "color": color, "line": {"width": 2}},
            hovertemplate="%{x:,.0f} tokens/s",
        )
    figure.update_layout(height=330)
    figure.update_xaxes(title="Prompt tokens/s", rangemode="tozero")
    figure.update_yaxes(autorange="reversed", showgrid=False, ticksuffix=" ")
    built = VARIANTS[0]
    other = next(variant for variant in VARIANTS if "grouped" in variant.name)
    gain = sum(value / row.predicted for value, row in zip(grouped, rows, strict=True)) / len(rows) - 1
    chart = Chart(
        "Prefill: the published program, and one that knows of grouped K and V",
        with_legend_below(figure),
        "The published launch code projects K and V as wide as Q. Timed so, a model that was left out of "
        f"the fit is off by {built.model_out[1]:.1f} % in prefill, with grouped K and V by "
        f"{other.model_out[1]:.1f} %. A program that used the grouping would be about {gain:.0%} faster: "
        "modelled, measured by nobody. Decode's rows fit grouped K and V better, so decode is timed with "
        "them.",
        "Points of prompt tokens per second for six measured rows, two models of each beside it",
        ("modelled", "measured"),
    )
    return (chart,)
