"""The way of one token, or of one prompt, over a wafer: which region it is in at which time."""

from __future__ import annotations

from dataclasses import dataclass

from wse_backend.errors import InvalidParams
from wse_backend.wafer.economics import Pipeline
from wse_backend.wafer.placement import Placement, Region


@dataclass(frozen=True)
class Stay:
    """A stay in one region, in seconds since the token (or the prompt) came onto the wafer."""

    region: Region
    start_s: float
    end_s: float


def passage(placement: Placement, found: Pipeline, phase: str, wafer: int = 0) -> tuple[Stay, ...]:
    """The regions of one wafer in the order of their layers, with the times of `found`.

    phase: "decode" (one token) or "prefill" (one prompt). Raises InvalidParams (no such phase or wafer).
    """
    if phase not in ("decode", "prefill"):
        raise InvalidParams("phase", phase, "decode, prefill")
    if not 0 <= wafer < placement.wafers:
        raise InvalidParams("wafer", wafer, f"0 to {placement.wafers - 1}")
    times = found.stages_s if phase == "decode" else found.prefill_stages_s
    steps, now = [], 0.0
    for region, seconds in zip(placement.layer_regions, times, strict=True):
        if region.wafer == wafer:
            steps.append(Stay(region, now, now + seconds))
            now += seconds
    return tuple(steps)
