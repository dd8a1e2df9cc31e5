"""The run's call graph on other machines: which machines, how long each takes; plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import Any

from moa_core.runs.trace import CallRecord
from wse_backend.errors import DoesNotFit
from wse_backend.wafer.gpu import GPUS, GpuSpec, needed_gpus
from wse_backend.wafer.placement import place
from wse_backend.wafer.replay import Machine, Replay, ReplayCall, replay
from wse_backend.wafer.shapes import BYTES_PER_VALUE, ModelShape
from wse_backend.wafer.spec import WSE3, WaferSpec
from wse_backend.wafer.timing.interval import Interval, plus

EXAMPLE_CALLS = (
    *(ReplayCall(1, 140, 0, 180),) * 3,
    *(ReplayCall(2, 720, 60, 180),) * 3,
    ReplayCall(3, 740, 60, 260),
)
"""Three agents in each of two layers and a summarizer, about as long as a workshop's answers."""

SMALL_SHARE = 1 / 20
LARGE_MODEL = "llama3.3-70b"
"""Shown instead of a model that is too small to need a wafer: four of them hold it."""

Graph = Sequence[tuple[ModelShape, Sequence[ReplayCall]]]


@dataclass(frozen=True)
class Bar:
    """A machine and the run's seconds on it; None where the model does not fit, then `note` says why.

    interval, prefill, decode: of modelled seconds, in all and by phase.
    """

    machine: str
    seconds: float | None
    note: str
    kind: str
    interval: Interval | None = None
    prefill: Interval | None = None
    decode: Interval | None = None


def calls_of(records: Sequence[CallRecord]) -> dict[str, list[ReplayCall]]:
    """The calls of a run that reported their tokens, by model."""
    found: dict[str, list[ReplayCall]] = {}
    for record in records:
        if record.prompt_tokens:
            cached = min(record.cached_tokens or 0, record.prompt_tokens)
            call = ReplayCall(record.layer, record.prompt_tokens, cached, record.completion_tokens or 0)
            found.setdefault(record.model, []).append(call)
    return found


def machines_for(graph: Graph, spec: WaferSpec) -> list[tuple[str, Machine]]:
    """The wafer systems, and of every GPU as many as hold the model."""
    machines = [("One CS-3", Machine(WSE3)), ("Four CS-3", Machine(WSE3, 4))]
    most = max(_fewest(shape, _longest(calls)) for shape, calls in graph)
    if most > 4:
        machines.append((f"{most} x CS-3", Machine(WSE3, most)))
    if spec != WSE3:
        machines.insert(0, (f"One {spec.system} ({spec.name})", Machine(spec)))
    for gpu in GPUS:
        needed = max(_needed(shape, gpu, calls) for shape, calls in graph)
        machines.append((f"{needed} x {gpu.name}" if needed > 1 else gpu.name, Machine(gpu, needed)))
    return machines


def _needed(shape: ModelShape, gpu: GpuSpec, calls: Sequence[ReplayCall]) -> int:
    return needed_gpus(shape, gpu, _longest(calls))


@lru_cache(maxsize=64)
def _fewest(shape: ModelShape, longest: int) -> int:
    """The fewest wafers that hold the model; 1 when no number does, which the replay then explains."""
    try:
        return place(shape, WSE3, longest).wafers
    except DoesNotFit:
        return 1


def _longest(calls: Sequence[ReplayCall]) -> int:
    return max(call.prompt_tokens + call.completion_tokens for call in calls)


def is_too_small(shape: ModelShape) -> bool:
    """Whether a model leaves nearly all of a wafer empty: weights below a twentieth of its SRAM."""
    return shape.params * BYTES_PER_VALUE < SMALL_SHARE * WSE3.sram_bytes


def replay_bars(graph: Graph, spec: WaferSpec, program: str = "reference") -> list[Bar]:
    """The graph replayed on every machine. A run with several models takes them one after another."""
    bars = []
    for label, machine in machines_for(graph, spec):
        parts = [_replayed(tuple(calls), shape, machine, program) for shape, calls in graph]
        bars.append(_bar(label, parts))
    return bars


@lru_cache(maxsize=128)  # a run is looked at many times, and placing a large model takes 0.2 s
def _replayed(calls: tuple[ReplayCall, ...], shape: ModelShape, machine: Machine, program: str) -> Replay:
    return replay(calls, shape, machine, program=program)


def _bar(label: str, parts: Sequence[Replay]) -> Bar:
    refused = next((part for part in parts if part.seconds is None), None)
    if refused is not None:
        return Bar(label, None, refused.refusal, refused.kind)
    phases = [part.phases for part in parts if part.phases]
    read, written = (reduce(plus, [pair[phase] for pair in phases]) for phase in (0, 1))
    whole = plus(read, written)
    return Bar(label, whole.value, parts[0].note, parts[0].kind, whole, read, written)


def table_rows(bars: Sequence[Bar]) -> list[dict[str, Any]]:
    """The chart's numbers, and how each machine was used or why not."""
    return [
        {
            "machine": bar.machine.replace("<br>", " "),
            "prefill": bar.prefill,
            "decode": bar.decode,
            "total_s": bar.seconds,
            "low_s": bar.interval.low if bar.interval else None,
            "high_s": bar.interval.high if bar.interval else None,
            "kind": bar.kind,
            "note": bar.note,
        }
        for bar in bars
    ]
