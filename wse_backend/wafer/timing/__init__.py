"""The PLMR timing model of a wafer (Parallelism, Latency, Memory, Routing; WaferLLM, arXiv 2502.04563)."""

from wse_backend.wafer.timing.constants import Constants
from wse_backend.wafer.timing.fitted import FITTED
from wse_backend.wafer.timing.phases import (
    best_side,
    decode,
    decode_seconds,
    gemv,
    generate,
    prefill,
    prefill_seconds,
)
from wse_backend.wafer.timing.result import CAUSES, GROUPS, LayerTiming, OpTiming, PhaseTiming

__all__ = [
    "CAUSES",
    "FITTED",
    "GROUPS",
    "Constants",
    "LayerTiming",
    "OpTiming",
    "PhaseTiming",
    "best_side",
    "decode",
    "decode_seconds",
    "gemv",
    "generate",
    "prefill",
    "prefill_seconds",
]
