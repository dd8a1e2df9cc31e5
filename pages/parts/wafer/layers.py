"""Time per transformer layer on a wafer, by cause, and beside what this machine measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from pages.parts.charts import GROUP_NAMES, layer_bars, tick_step, with_legend_below
from pages.parts.wafer.chart import (
    Chart,
    add_whiskers,
    duration,
    duration_between,
    rate_between,
    times_between,
)
from pages.state.measured import PhaseTotal
from pages.state.text import capitalised
from wse_backend.wafer.placement import Placement
from wse_backend.wafer.placement_timing import PlacedTiming
from wse_backend.wafer.timing import CAUSES, GROUPS
from wse_backend.wafer.timing.interval import Interval
from wse_backend.wafer.timing.result import sum_causes

PHASE_NAMES = {"decode": "Decode", "prefill": "Prefill"}
CAUSE_NAMES: Mapping[str, str] = {
    "compute": "Compute",
    "hops": "Hops",
    "routing": "Routing stages",
    "overhead": "Fixed overhead",
}
OPERATION_NAMES = {
    "qkv": "Q, K, V",
    "rope": "RoPE",
    "context": "Weighted values",
    "ffn norm": "FFN norm",
    "ffn residual": "FFN residual",
    "output": "Output projection",
}


def unit_of(seconds: Sequence[float]) -> tuple[str, float]:
    """The axis unit that suits these durations, and how many of it a second has."""
    return ("µs", 1e6) if max(seconds, default=0) < 2e-3 else ("ms", 1e3)


def cause_chart(
    timing: PlacedTiming, placement: Placement, sure: Interval, layers: Sequence[Interval]
) -> Chart:
    """One bar per transformer layer, stacked by cause; sure, layers: the phase's seconds, each layer's."""
    unit, factor = unit_of([layer.seconds for layer in timing.layers])
    figure = go.Figure()
    causes = [layer.causes for layer in timing.layers]
    for cause in CAUSES:
        figure.add_bar(
            x=[layer.index for layer in timing.layers],
            y=[round(found[cause] * factor, 4) for found in causes],
            name=CAUSE_NAMES[cause],
            hovertemplate=f"%{{y:.3g}} {unit}",
        )
    add_whiskers(figure, [layer.index for layer in timing.layers], layers, factor)
    figure.update_layout(barmode="stack", bargap=0.15, height=340, hovermode="x unified")
    figure.update_xaxes(title="Transformer layer", dtick=tick_step(len(causes)), showgrid=False)
    figure.update_yaxes(title=f"{unit_title(unit)} per transformer layer", rangemode="tozero")
    grid = placement.layer_regions[0].grid
    return Chart(
        f"{PHASE_NAMES[timing.phase]}: time per transformer layer, by cause",
        with_legend_below(figure),
        f"{_phase_story(timing, sure)} {_cause_story(timing)} Regions have about {grid[0]} x {grid[1]} PEs; "
        "bars differ only where regions do.",
        f"Stacked bars of {unit} for each of {len(causes)} transformer layers: "
        f"{', '.join(CAUSE_NAMES.values()).lower()}",
    )


def _phase_story(timing: PlacedTiming, sure: Interval) -> str:
    """What the phase takes in all, and which share of it where."""
    n, whole = len(timing.layers), timing.seconds
    parts = f"{timing.layers_s / whole:.1%} of it in {n} transformer layers, {timing.head_s / whole:.1%} in "
    parts += "the LM head"
    if timing.handed_s > whole / 1000:
        parts += f", {timing.handed_s / whole:.1%} from region to region"
    if timing.phase == "decode":
        return (
            f"One token behind {timing.tokens:,} others takes {duration_between(sure)}, {parts}: "
            f"{rate_between(sure.rate)}."
        )
    speed = rate_between(sure.rate.scaled(timing.tokens))
    return f"A prompt of {timing.tokens:,} tokens takes {duration_between(sure)}, {parts}: {speed}."


def _cause_story(timing: PlacedTiming) -> str:
    """Which cause weighs most, and what follows from it."""
    causes = sum_causes(op for layer in timing.layers for op in layer.ops)
    whole = sum(causes.values()) or 1.0
    distance = (causes["hops"] + causes["routing"]) / whole
    if timing.phase == "decode" and distance < causes["compute"] / whole:
        return (
            f"{causes['compute'] / whole:.0%} of a transformer layer is arithmetic on tiles that are large "
            f"because the region is small, {distance:.0%} distance (hops and routing stages): larger "
            "regions would trade one for the other."
        )
    if timing.phase == "decode":
        return (
            f"{distance:.0%} is distance (hops and routing stages), {causes['compute'] / whole:.0%} "
            "arithmetic: a wafer has no memory to wait for, so what is left to pay is the way."
        )
    return (
        f"{causes['compute'] / whole:.0%} is arithmetic, {causes['hops'] / whole:.0%} goes into tiles on "
        f"their way to the neighbour, never more than two hops off, {causes['overhead'] / whole:.0%} into "
        "starting the steps."
    )


def slowest_layer(timing: PlacedTiming) -> int:
    """The layer whose operations are shown: of a mixture, one with experts."""
    return max(timing.layers, key=lambda found: found.seconds).index


def operations_chart(timing: PlacedTiming, sure: Mapping[str, Interval], whole: Interval) -> Chart:
    """The slowest layer's operations in order, stacked by cause; sure, whole: their seconds, the layer's."""
    layer = timing.layers[slowest_layer(timing)]
    names = list(dict.fromkeys(op.name for op in layer.ops))
    by_name = {name: sum_causes(op for op in layer.ops if op.name == name) for name in names}
    totals = {name: sum(causes.values()) for name, causes in by_name.items()}
    unit, factor = unit_of(list(totals.values()))
    figure = go.Figure()
    for cause in CAUSES:
        figure.add_bar(
            y=[OPERATION_NAMES.get(name, name.capitalize()) for name in names],
            x=[round(by_name[name][cause] * factor, 4) for name in names],
            name=CAUSE_NAMES[cause],
            orientation="h",
            hovertemplate=f"%{{x:.3g}} {unit}",
        )
    places = [OPERATION_NAMES.get(name, name.capitalize()) for name in names]
    add_whiskers(figure, places, [sure[name] for name in names], factor)
    figure.update_layout(barmode="stack", bargap=0.2, height=110 + 24 * len(names), hovermode="y unified")
    figure.update_xaxes(title=unit_title(unit), rangemode="tozero")
    figure.update_yaxes(autorange="reversed", showgrid=False)
    slowest = max(names, key=totals.__getitem__)
    return Chart(
        f"Inside transformer layer {layer.index}: its operations in order",
        with_legend_below(figure),
        f"Of {duration_between(whole)} a transformer layer, {duration_between(sure[slowest])} go into "
        f"“{OPERATION_NAMES.get(slowest, slowest)}”, more than into any other of its {len(names)} "
        "operations.",
        f"Horizontal stacked bars of {unit} for the {len(names)} operations of one transformer layer",
    )


def measured_chart(total: PhaseTotal) -> Chart:
    """Host milliseconds per layer, mean over the run's passes."""
    what = (
        f"this machine takes {duration(total.pass_ms / 1e3)} for a step that writes {total.tokens_written} "
        "for every busy agent"
        if total.phase == "decode"
        else f"this machine takes {duration(total.pass_ms / 1e3)} for a chunk of about "
        f"{total.tokens_per_pass:.0f} prompt tokens"
    )
    return Chart(
        "Here: this machine",
        layer_bars(total.layers_ms_per_pass, GROUPS, y_title="Milliseconds per transformer layer"),
        f"{what[:1].upper()}{what[1:]}; mean over {total.passes:,} passes of your run.",
        f"Measured milliseconds per transformer layer of {total.model}, stacked by operation",
        ("measured",),
    )


def modelled_chart(
    timing: PlacedTiming, placement: Placement, sure: Interval, layers: Sequence[Interval]
) -> Chart:
    """Wafer microseconds per layer for the same model shape, by the same operation groups."""
    unit, factor = unit_of([layer.seconds for layer in timing.layers])
    groups = [layer.groups for layer in timing.layers]
    table = np.array([[found.get(group, 0.0) * factor for group in GROUPS] for found in groups])
    figure = layer_bars(table, GROUPS, y_title=f"{unit_title(unit)} per transformer layer")
    figure.update_traces(hovertemplate=f"%{{y:.3g}} {unit}")
    add_whiskers(figure, [layer.index for layer in timing.layers], layers, factor)
    what = "one token" if timing.phase == "decode" else f"a prompt of {timing.tokens:,} tokens"
    name = placement.spec.name
    machine = f"{placement.wafers} x {name}" if placement.wafers > 1 else f"one {name}"
    return Chart(
        f"There: {machine}",
        figure,
        f"{capitalised(machine)} would take {duration_between(sure)} for {what}; the same transformer "
        "layers, the same operations.",
        f"Modelled {unit} per transformer layer of {placement.model.name} on {machine}, stacked by operation",
    )


def comparison_story(total: PhaseTotal, timing: PlacedTiming, sure: Interval) -> str:
    """The two charts in a sentence: how far apart, and what each side waits for; sure: the modelled pass."""
    modelled_tokens = total.tokens_per_pass if total.phase == "decode" else 1.0  # the model's step writes one
    faster = sure.rate.scaled(total.pass_ms / 1e3 / modelled_tokens)
    here = total.layers_ms_per_pass.sum(axis=0)
    there = {group: sum(layer.groups.get(group, 0.0) for layer in timing.layers) for group in GROUPS}
    most_here = GROUP_NAMES[GROUPS[int(here.argmax())]].lower()
    most_there = GROUP_NAMES[max(there, key=there.__getitem__)].lower()
    same = f"most of it {most_here} on both sides" if most_here == most_there else ""
    differ = f"here most goes into {most_here}, there into {most_there}"
    share = " A step here serves every busy agent at once; so would the wafer, each in another region."
    return (
        f"Transformer layer by transformer layer the wafer is about {times_between(faster)} "
        f"as fast: note the units; {same or differ}.{share if total.phase == 'decode' else ''}"
    )


def unit_title(unit: str) -> str:
    """The unit in full, for an axis."""
    return {"µs": "Microseconds", "ms": "Milliseconds"}[unit]
