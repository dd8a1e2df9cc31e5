"""The run's call graph on other machines: one bar for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from moa_core.runs.trace import CallRecord
from pages.parts.charts import with_legend_below
from pages.parts.wafer.chart import Chart, duration, log_axis
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

SECONDS = "{:,.10g} s".format
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
        machines.insert(0, (f"One CS-2 ({spec.name})", Machine(spec)))
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


def machines_chart(bars: Sequence[Bar], what: str) -> Chart:
    """One bar per machine on a logarithmic axis; what: the run in a few words, for the caption."""
    timed = [bar for bar in bars if bar.seconds]
    low, high = _span(timed)
    figure = go.Figure()
    for kind, name in (("measured", "Measured"), ("modelled", "Modelled")):
        _add_bars(figure, [bar for bar in timed if bar.kind == kind], name)
    _add_refusals(figure, [bar for bar in bars if not bar.seconds], low / 2.5)
    log_axis(figure.update_xaxes, "Time for the whole run (logarithmic)", low / 3, high * 3, SECONDS)
    figure.update_yaxes(
        categoryorder="array",
        categoryarray=[bar.machine for bar in bars],
        autorange="reversed",
        showgrid=False,
        ticksuffix=" ",
    )
    figure.update_layout(bargap=0.35, barmode="overlay", height=110 + 44 * len(bars), showlegend=True)
    spoken = "; ".join(f"{bar.machine} {duration(bar.seconds)}" for bar in timed if bar.seconds)
    return Chart(
        "One bar per machine",
        with_legend_below(figure),
        f"{what} {_story(bars)}",
        f"Bars of seconds for the whole run: {spoken}",
        tuple(dict.fromkeys(bar.kind for bar in bars)),
    )


def _span(timed: Sequence[Bar]) -> tuple[float, float]:
    """The shortest and the longest bar, in seconds."""
    seconds = [bar.seconds for bar in timed if bar.seconds] or [1.0]
    return min(seconds), max(seconds)


def _add_bars(figure: go.Figure, bars: Sequence[Bar], name: str) -> None:
    if bars:
        figure.add_bar(
            y=[bar.machine for bar in bars],
            x=[bar.seconds for bar in bars],
            text=[duration(bar.seconds or 0.0) for bar in bars],
            textposition="outside",
            cliponaxis=False,
            name=name,
            orientation="h",
            hovertemplate="%{text}",
        )


def _add_refusals(figure: go.Figure, bars: Sequence[Bar], x: float) -> None:
    """Words instead of a bar: it does not fit, and how many would do."""
    if bars:
        figure.add_scatter(
            y=[bar.machine for bar in bars],
            x=[x] * len(bars),
            text=[f"does not fit; {bar.note.rpartition('; ')[2]}" for bar in bars],
            mode="text",
            textposition="middle right",
            showlegend=False,
            hovertext=[bar.note for bar in bars],
            hoverinfo="text",
        )


def _story(bars: Sequence[Bar]) -> str:
    """Wafer against GPU, in the chart's own numbers, whichever wins."""
    by_name = {bar.machine: bar for bar in bars if bar.seconds and bar.kind == "modelled"}
    wafers = [bar for name, bar in by_name.items() if "CS-" in name]
    gpus = [bar for name, bar in by_name.items() if "CS-" not in name]
    if not wafers:
        return "It fits on none of these wafers; the table says what is missing."
    wafer = wafers[0]
    gpu = min(gpus, key=lambda bar: bar.seconds or 0.0)
    wafer_s, gpu_s = wafer.seconds or 1.0, gpu.seconds or 1.0
    both = f"It takes {duration(wafer_s)} on {_the(wafer)} and {duration(gpu_s)} on {_the(gpu)}"
    if gpu_s > wafer_s:
        return (
            f"{both}, {gpu_s / wafer_s:,.1f} times as long: writing alone is {duration(wafer.decode_s)} "
            f"against {duration(gpu.decode_s)}, because every token makes a GPU read all weights again."
        )
    parts = (
        f"reading takes {duration(wafer.prefill_s)} against {duration(gpu.prefill_s)}, writing "
        f"{duration(wafer.decode_s)} against {duration(gpu.decode_s)}"
    )
    if wafer.decode_s < 0.5 * gpu.decode_s:
        return f"{both}: {parts}. So few prompt tokens do not fill a wafer, and that decides this run."
    return (
        f"{both}: {parts}. So small a model leaves most of a wafer idle, and a GPU reads it in no time (its "
        "kernel launches are not counted). Choose a larger model above to replay the same calls with it."
    )


def _the(bar: Bar) -> str:
    """The machine inside a sentence."""
    return bar.machine.replace("One ", "one ").replace("Four ", "four ")


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
