"""What the timing model is worth: fitted against measured rows, its constants, and what services publish."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import plotly.graph_objects as go

from pages.parts.charts import with_legend_below
from pages.parts.wafer.chart import NEUTRAL, Chart
from wse_backend.wafer import gpu
from wse_backend.wafer.economics import pipeline
from wse_backend.wafer.placement import place
from wse_backend.wafer.shapes import PRESETS
from wse_backend.wafer.spec import WSE2, WSE3
from wse_backend.wafer.timing import FITTED, Constants
from wse_backend.wafer.timing.constants import PLAUSIBLE_RANGES
from wse_backend.wafer.timing.fitted import RESIDUALS

CONTEXT = 4096
PHASES = {"decode": "Decode", "prefill": "Prefill", "gemv": "GEMV"}

CONSTANT_NOTES = {
    "dispatch": "one vector instruction started, or one element of a shifted tile taken in and passed on",
    "step": "one compute-shift step: transfers started, neighbours awaited, buffers exchanged",
    "hop": "one PE further along the mesh (the alpha of PLMR)",
    "stage": "one routing stage of an allreduce (the beta of PLMR)",
    "local": "one local operation between two products: norm, RoPE, softmax, activation, residual",
    "element": "one element of an allreduced vector, accumulated and taken through what follows",
}


@dataclass(frozen=True)
class ServiceSpeed:
    """Published: output tokens/s of one request at a service."""

    provider: str
    model: str
    tokens_per_s: float
    when: str
    source: str


# Context for the chart, never used for fitting. Services may also use speculative decoding and fewer bits.
SERVICE_SPEEDS = (
    ServiceSpeed("Cerebras", "llama3.1-8b", 1800, "2024-08", "Cerebras launch announcement"),
    ServiceSpeed("Cerebras", "llama3.1-70b", 450, "2024-08", "Cerebras launch; 446 by Artificial Analysis"),
    ServiceSpeed("Cerebras", "llama3.3-70b", 2314, "2025-02", "Artificial Analysis, quoted by H. Lupesko"),
    ServiceSpeed("Cerebras", "llama3.1-405b", 969, "2024-11", "Cerebras; first token after 0.24 s"),
    ServiceSpeed(
        "Amazon Bedrock", "llama3.3-70b", 32, "2025-02", "Artificial Analysis, quoted by H. Lupesko"
    ),
    ServiceSpeed("Groq", "llama3.1-70b", 284, "2024-08", "Groq blog, quoted on Hacker News"),
    ServiceSpeed("GPU chat services", "gpt-class", 100, "2025-02", "J. Wang, Oxide and Friends"),
)


def calibration_rows() -> list[dict[str, Any]]:
    """Every row of hardware measurements beside the model's answer, for a table."""
    return [
        {
            "phase": PHASES[row.phase],
            "model": row.model,
            "grid": f"{row.grid} x {row.grid}" if row.grid else "best",
            "predicted": row.predicted,
            "measured": row.measured,
            "unit": row.unit,
            "error": 100 * row.error,
        }
        for row in RESIDUALS
    ]


def mean_error(phase: str) -> float:
    """Mean absolute error of a phase's rows, in percent."""
    errors = [abs(100 * row.error) for row in RESIDUALS if row.phase == phase]
    return sum(errors) / len(errors)


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


def capacity_rows() -> list[dict[str, Any]]:
    """The reference's two cache capacities beside the placement's; nothing is fitted to them."""
    rows = []
    for kv, measured in (("shift", 137548), ("concat", 382)):
        predicted = place("llama3-8b", WSE2, 1, grid=(360, 360), kv=kv).max_context
        rows.append(
            {
                "phase": f"Capacity ({kv})",
                "model": "llama3-8b",
                "grid": "360 x 360",
                "predicted": float(predicted),
                "measured": float(measured),
                "unit": "tokens",
                "error": 100 * (predicted / measured - 1),
            }
        )
    return rows


def gpu_rows() -> list[dict[str, Any]]:
    """The measured A100 rows beside the roofline."""
    rows = []
    for row in gpu.SGLANG_A100:
        if row.phase not in ("decode", "prefill"):
            continue
        if row.phase == "decode":
            predicted = 1 / gpu.decode_seconds(row.model, gpu.A100, row.gpus, CONTEXT)
        else:
            predicted = CONTEXT / gpu.prefill_seconds(row.model, gpu.A100, row.gpus, CONTEXT)
        rows.append(
            {
                "phase": row.phase.capitalize(),
                "model": row.model,
                "grid": f"{row.gpus} x A100",
                "predicted": predicted,
                "measured": row.value,
                "unit": row.unit,
                "error": 100 * (predicted / row.value - 1),
            }
        )
    return rows


def constant_rows() -> list[dict[str, Any]]:
    """The fitted constants with what they mean and what would be plausible."""
    return [
        {
            "constant": name,
            "cycles": getattr(FITTED, name),
            "plausible": f"{low:g} to {high:g}",
            "meaning": CONSTANT_NOTES[name],
        }
        for name, (low, high) in PLAUSIBLE_RANGES.items()
    ]


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
