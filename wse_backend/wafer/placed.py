"""One phase on a placement, transformer layer by transformer layer, each on its own region's grid."""

from __future__ import annotations

from dataclasses import dataclass, replace

from wse_backend.wafer.economics import Run, pipeline
from wse_backend.wafer.placement import Placement
from wse_backend.wafer.timing import LayerTiming, OpTiming, PhaseTiming, decode, prefill


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


def placed_timing(placement: Placement, phase: str, tokens: int, *, run: Run | None = None) -> PlacedTiming:
    """Time one phase on a placement; run: the program and the routing. Raises InvalidParams (tokens "
    "below 1)."""
    run = run or Run()
    timings: dict[tuple[int, int], PhaseTiming] = {}
    layers: list[LayerTiming] = []
    model, spec = placement.model, placement.spec
    for region in placement.layer_regions:
        grid = region.grid
        if grid not in timings and phase == "decode":
            timings[grid] = decode(model, spec, grid, tokens, routing=run.routing)
        elif grid not in timings:
            routing = run.prefill_routing or run.routing
            timings[grid] = prefill(model, spec, grid, tokens, program=run.program, routing=routing)
        layers += [timings[grid].layers[index] for index in region.layers]
    head = timings[placement.layer_regions[-1].grid].extra
    if phase == "decode":
        whole_s = pipeline(placement, run=replace(run, context=tokens, prompt_tokens=1)).token_s
    else:
        whole_s = pipeline(placement, run=replace(run, prompt_tokens=tokens)).prefill_s
    handed_s = whole_s - sum(layer.seconds for layer in layers) - sum(op.seconds for op in head)
    return PlacedTiming(phase, tokens, tuple(layers), head, max(handed_s, 0.0))
