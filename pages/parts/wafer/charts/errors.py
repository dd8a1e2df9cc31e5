"""Percent that the model is off, row by row of the calibration file."""

from __future__ import annotations

from dataclasses import fields

import plotly.graph_objects as go

from pages.parts.charts import with_legend_below
from pages.parts.wafer.chart import NEUTRAL, Chart
from pages.parts.wafer.view import View
from pages.state.wafer_evidence import PHASES, mean_error
from wse_backend.wafer.timing import Constants
from wse_backend.wafer.timing.fitted import RESIDUALS

TAB, ORDER = "Evidence", 10


def draw(view: View | None = None) -> tuple[Chart, ...]:
    """Bars to both sides of zero."""
    del view
    figure = go.Figure()
    for phase, name in PHASES.items():
        rows = [row for row in RESIDUALS if row.phase == phase]
        figure.add_bar(
            y=[f"{name}, {row.model}, {row.grid or 'best grid'}" for row in rows],
            x=[round(100 * row.error, 3) for row in rows],
            orientation="h",
            name=name,
            hovertemplate="%{x:+.2f} %",
        )
    figure.add_vline(x=0, line={"width": 1, "color": NEUTRAL})
    figure.update_layout(height=440, bargap=0.3, barmode="overlay")
    figure.update_xaxes(title="Predicted over measured (%)", range=[-5, 5], ticksuffix=" %")
    figure.update_yaxes(autorange="reversed", type="category", showgrid=False, ticksuffix=" ")
    worst = max(RESIDUALS, key=lambda row: abs(row.error))
    chart = Chart(
        "How far the model is off, row by row",
        with_legend_below(figure),
        f"{len(fields(Constants))} constants, {len(RESIDUALS)} rows measured on a WSE-2: decode is off by "
        f"{mean_error('decode'):.2f} % on average and prefill by {mean_error('prefill'):.2f} %; the worst "
        f"row, {worst.phase} of {worst.model} on {worst.grid} x {worst.grid}, by {100 * worst.error:+.1f} %.",
        "Bars of percent error for every calibration row, all within 1.5 percent of zero",
        ("modelled", "measured"),
    )
    return (chart,)
