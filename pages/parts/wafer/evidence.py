"""What the timing model is worth: fitted against measured rows, and what services publish."""

from __future__ import annotations

from dataclasses import fields

import plotly.graph_objects as go

from pages.parts.charts import with_legend_below
from pages.parts.wafer.chart import NEUTRAL, Chart
from pages.state.wafer_evidence import CONTEXT, PHASES, mean_error
from wse_backend.wafer.economics import pipeline
from wse_backend.wafer.placement import place
from wse_backend.wafer.published import SERVICE_SPEEDS
from wse_backend.wafer.shapes import PRESETS
from wse_backend.wafer.spec import WSE3
from wse_backend.wafer.timing import Constants
from wse_backend.wafer.timing.fitted import RESIDUALS


def error_chart() -> Chart:
    """Percent that the model is off, row by row."""
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
    return Chart(
        "How far the model is off, row by row",
        with_legend_below(figure),
        f"{len(fields(Constants))} constants, {len(RESIDUALS)} rows measured on a WSE-2: decode is off by "
        f"{mean_error('decode'):.2f} % on average and prefill by {mean_error('prefill'):.2f} %; the worst "
        f"row, {worst.phase} of {worst.model} on {worst.grid} x {worst.grid}, by {100 * worst.error:+.1f} %.",
        "Bars of percent error for every calibration row, all within 1.5 percent of zero",
        ("modelled", "measured"),
    )


def service_chart() -> Chart:
    """Published speeds of services, and what this model says of the same model on WSE-3."""
    labels = [f"{row.provider}<br>{row.model}, {row.when}" for row in SERVICE_SPEEDS]
    modelled = []
    for row in SERVICE_SPEEDS:
        shape = PRESETS.get(row.model) if row.provider == "Cerebras" else None
        placed = place(shape, WSE3, CONTEXT) if shape else None
        modelled.append(1 / pipeline(placed, prompt_tokens=1).token_s if placed else None)
    figure = go.Figure()
    figure.add_bar(
        y=labels,
        x=[row.tokens_per_s for row in SERVICE_SPEEDS],
        name="Published",
        orientation="h",
        customdata=[row.source for row in SERVICE_SPEEDS],
        hovertemplate="%{x:,.0f} tokens/s<br>%{customdata}",
    )
    figure.add_scatter(
        y=labels,
        x=[round(value, 1) if value else None for value in modelled],
        name="Modelled, fewest WSE-3, fp16",
        mode="markers",
        marker={"size": 12, "symbol": "diamond"},
        hovertemplate="%{x:,.0f} tokens/s",
    )
    figure.update_layout(height=400, bargap=0.35)
    figure.update_xaxes(title="Output tokens/s of one request", rangemode="tozero")
    figure.update_yaxes(autorange="reversed", showgrid=False, ticksuffix=" ")
    row, value = SERVICE_SPEEDS[1], modelled[1] or 0.0
    return Chart(
        "What services publish",
        with_legend_below(figure),
        f"Context, never fitted to: {row.provider} published {row.tokens_per_s:,.0f} tokens/s for "
        f"{row.model} in {row.when}, the model says {value:,.0f} for bare fp16 decoding. Services also "
        "batch, guess tokens ahead or use fewer bits, so both sides may be faster or slower than the "
        "machine.",
        "Bars of published tokens per second for seven services, diamonds where the model has an answer",
        ("published", "modelled"),
    )
