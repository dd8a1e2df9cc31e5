"""One phase on a placement, transformer layer by transformer layer, each on its own region's grid."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from wse_backend.wafer.economics import Workload, pipeline
from wse_backend.wafer.placement import Placement
from wse_backend.wafer.shapes import ModelShape
from wse_backend.wafer.timing import LayerTiming, OpTiming, PhaseTiming, decode, prefill
from wse_backend.wafer.timing.counts import decode_counts, prefill_counts
from wse_backend.wafer.timing.interval import STACKED, Interval, between
from wse_backend.wafer.timing.ops import Count, Mesh
from wse_backend.wafer.timing.phases import cycles_of, is_wide


@dataclass(frozen=True)
class PlacedTiming:
    """One phase on a placement, every layer timed on its own region's grid.

    tokens: the context, or the prompt. head: the LM head. handed_s: from region to region, wafer to wafer.
    """

    phase: str
    tokens: int
    layers: tuple[LayerTiming, ...]
    head: tuple[OpTiming, ...]
    handed_s: float

    @property
    def layers_s(self) -> float:
        """Seconds of all layers."""
        return sum(layer.seconds for layer in self.layers)

    @property
    def head_s(self) -> float:
        """Seconds of the LM head."""
        return sum(op.seconds for op in self.head)

    @property
    def seconds(self) -> float:
        """Seconds of the whole pass."""
        return self.layers_s + self.head_s + self.handed_s


def placed_timing(
    placement: Placement, phase: str, tokens: int, *, workload: Workload | None = None
) -> PlacedTiming:
    """Time one phase on a placement; workload: the program and the routing. Raises InvalidParams (tokens
    below 1)."""
    workload = workload or Workload()
    timings: dict[tuple[int, int], PhaseTiming] = {}
    layers: list[LayerTiming] = []
    model, spec = placement.model, placement.spec
    for region in placement.layer_regions:
        grid = region.grid
        if grid not in timings and phase == "decode":
            timings[grid] = decode(model, spec, grid, tokens, routing=workload.routing)
        elif grid not in timings:
            routing = workload.prefill_routing or workload.routing
            timings[grid] = prefill(model, spec, grid, tokens, program=workload.program, routing=routing)
        layers += [timings[grid].layers[index] for index in region.layers]
    head = timings[placement.layer_regions[-1].grid].extra
    if phase == "decode":
        whole_s = pipeline(placement, workload=replace(workload, context=tokens, prompt_tokens=1)).token_s
    else:
        whole_s = pipeline(placement, workload=replace(workload, prompt_tokens=tokens)).prefill_s
    handed_s = whole_s - sum(layer.seconds for layer in layers) - sum(op.seconds for op in head)
    return PlacedTiming(phase, tokens, tuple(layers), head, max(handed_s, 0.0))


def layer_intervals(
    placement: Placement, phase: str, tokens: int, *, workload: Workload | None = None
) -> tuple[Interval, ...]:
    """How sure the seconds of every layer of `placed_timing` are, in order."""
    found: dict[tuple[tuple[int, int], ModelShape], Interval] = {}
    sure = []
    for region in placement.layer_regions:
        for layer in region.layers:
            key = (region.grid, placement.model.kind_of(layer))
            if key not in found:
                ops = _stacked(placement, key, phase, tokens, workload or Workload())
                found[key] = between(sum(ops.values(), np.zeros(())), phase)
            sure.append(found[key])
    return tuple(sure)


def operation_intervals(
    placement: Placement, phase: str, tokens: int, layer: int, *, workload: Workload | None = None
) -> dict[str, Interval]:
    """How sure the seconds of one layer's operations are, by name, those of one name together."""
    grid = next(region.grid for region in placement.layer_regions if layer in region.layers)
    ops = _stacked(placement, (grid, placement.model.kind_of(layer)), phase, tokens, workload or Workload())
    return {name: between(seconds, phase) for name, seconds in ops.items()}


def _stacked(
    placement: Placement,
    where: tuple[tuple[int, int], ModelShape],
    phase: str,
    tokens: int,
    workload: Workload,
) -> dict[str, Count]:
    """Seconds of a layer's operations with every refit; where: the grid and the kind of layer."""
    (grid, kind), spec = where, placement.spec
    mesh = Mesh.of(spec, *grid)
    if phase == "decode":
        ops = decode_counts(kind, mesh, tokens, routing=workload.routing)
    else:
        routing = workload.prefill_routing or workload.routing
        ops = prefill_counts(kind, mesh, tokens, wide_kv=is_wide(workload.program), routing=routing)
    found: dict[str, Count] = {}
    for op in ops:
        seconds = np.asarray(cycles_of(op, spec, STACKED)) / spec.clock_hz
        found[op.name] = found.get(op.name, np.zeros(())) + seconds
    return found
