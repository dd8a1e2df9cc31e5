"""The run's call graph on other machines: which machines, how long each takes; plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from moa_core.runs.trace import CallRecord
from wse_backend.errors import DoesNotFit
from wse_backend.wafer.gpu import A100, H100, GpuSpec, needed_gpus
from wse_backend.wafer.placement import place
from wse_backend.wafer.replay import Call, Machine, Replay, replay
from wse_backend.wafer.shapes import ModelShape
from wse_backend.wafer.spec import WSE3, WaferSpec

EXAMPLE_CALLS = (
    *(Call(1, 140, 0, 180),) * 3,
    *(Call(2, 720, 60, 180),) * 3,
    Call(3, 740, 60, 260),
)
"""Three agents in each of two layers and a summarizer, about as long as a workshop's answers."""

Graph = Sequence[tuple[ModelShape, Sequence[Call]]]


@dataclass(frozen=True)
class Bar:
    """A machine and the run's seconds on it; None where the model does not fit, then `note` says why."""

    machine: str
    seconds: float | None
    prefill_s: float
    decode_s: float
    note: str
    kind: str


def calls_of(records: Sequence[CallRecord]) -> dict[str, list[Call]]:
    """The calls of a run that reported their tokens, by model."""
    found: dict[str, list[Call]] = {}
    for record in records:
        if record.prompt_tokens:
            cached = min(record.cached_tokens or 0, record.prompt_tokens)
            call = Call(record.layer, record.prompt_tokens, cached, record.completion_tokens or 0)
            found.setdefault(record.model, []).append(call)
    return found


def machines_for(graph: Graph, spec: WaferSpec) -> list[tuple[str, Machine]]:
    """The wafer systems and the GPUs; where one GPU does not hold the model, also the fewest that do."""
    machines = [("One CS-3", Machine(WSE3)), ("Four CS-3", Machine(WSE3, 4))]
    most = max(_wafers(shape, calls) for shape, calls in graph)
    if most > 4:
        machines.append((f"{most} x CS-3", Machine(WSE3, most)))
    if spec != WSE3:
        machines.insert(0, (f"One {spec.system} ({spec.name})", Machine(spec)))
    for gpu in (A100, H100):
        machines.append((gpu.name, Machine(gpu)))
        needed = max(_needed(shape, gpu, calls) for shape, calls in graph)
        if needed > 1:
            machines.append((f"{needed} x {gpu.name}", Machine(gpu, needed)))
    return machines


def _needed(shape: ModelShape, gpu: GpuSpec, calls: Sequence[Call]) -> int:
    return needed_gpus(shape, gpu, _longest(calls))


def _wafers(shape: ModelShape, calls: Sequence[Call]) -> int:
    """The fewest wafers that hold the model; 1 when no number does, which the replay then explains."""
    try:
        return place(shape, WSE3, _longest(calls)).wafers
    except DoesNotFit:
        return 1


def _longest(calls: Sequence[Call]) -> int:
    return max(call.prompt_tokens + call.completion_tokens for call in calls)


def replay_bars(graph: Graph, spec: WaferSpec) -> list[Bar]:
    """The graph replayed on every machine. A run with several models takes them one after another."""
    bars = []
    for label, machine in machines_for(graph, spec):
        parts = [replay(calls, shape, machine) for shape, calls in graph]
        bars.append(_bar(label, parts))
    return bars


def _bar(label: str, parts: Sequence[Replay]) -> Bar:
    refused = next((part for part in parts if part.seconds is None), None)
    if refused is not None:
        return Bar(label, None, 0.0, 0.0, refused.refusal, refused.kind)
    prefill_s = sum(before for part in parts for before, _ in part.layers_s)
    decode_s = sum(after for part in parts for _, after in part.layers_s)
    return Bar(label, prefill_s + decode_s, prefill_s, decode_s, parts[0].note, parts[0].kind)


def table_rows(bars: Sequence[Bar]) -> list[dict[str, Any]]:
    """The chart's numbers, and how each machine was used or why not."""
    return [
        {
            "machine": bar.machine.replace("<br>", " "),
            "prefill_s": bar.prefill_s if bar.seconds and bar.kind == "modelled" else None,
            "decode_s": bar.decode_s if bar.seconds and bar.kind == "modelled" else None,
            "total_s": bar.seconds,
            "kind": bar.kind,
            "note": bar.note,
        }
        for bar in bars
    ]
