"""One phase on a placement, transformer layer by transformer layer, each on its own region's grid."""

from __future__ import annotations

from dataclasses import dataclass

from wse_backend.wafer.economics import pipeline
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


def placed_timing(placement: Placement, phase: str, tokens: int) -> PlacedTiming:
    """Time one phase on a placement. Raises InvalidParams (tokens below 1)."""
    timings: dict[tuple[int, int], PhaseTiming] = {}
    layers: list[LayerTiming] = []
    grids = [(region.grid, index) for region in placement.layer_regions for index in region.layers]
    for grid, index in grids:
        if grid not in timings:
            if phase == "decode":
                timings[grid] = decode(placement.model, placement.spec, grid, tokens)
            else:
                timings[grid] = prefill(placement.model, placement.spec, grid, tokens)
        layers.append(LayerTiming(index, timings[grid].layers[0].ops))
    head = timings[grids[-1][0]].extra
    if phase == "decode":
        whole_s = pipeline(placement, tokens, 1).token_s
    else:
        whole_s = pipeline(placement, prompt_tokens=tokens).prefill_s
    handed_s = whole_s - sum(layer.seconds for layer in layers) - sum(op.seconds for op in head)
    return PlacedTiming(phase, tokens, tuple(layers), head, max(handed_s, 0.0))
