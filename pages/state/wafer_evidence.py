"""What the timing model is worth, as rows for tables: measured beside predicted; plain data."""

from __future__ import annotations

from typing import Any

from wse_backend.wafer import gpu
from wse_backend.wafer.placement import place
from wse_backend.wafer.spec import WSE2
from wse_backend.wafer.timing import FITTED
from wse_backend.wafer.timing.constants import PLAUSIBLE_RANGES
from wse_backend.wafer.timing.fitted import RESIDUALS, VARIANTS

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


def variant_rows() -> list[dict[str, str]]:
    """The ways to count work that the built one was chosen from, with their errors in percent."""
    return [
        {
            "name": variant.name,
            **{
                title: f"{decode:.2f} / {prefill:.2f}"
                for title, (decode, prefill) in (
                    ("Fitted rows", variant.fitted),
                    ("One row out", variant.row_out),
                    ("One model out", variant.model_out),
                    ("One grid out", variant.grid_out),
                )
            },
        }
        for variant in VARIANTS
    ]
