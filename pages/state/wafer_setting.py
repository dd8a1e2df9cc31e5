"""What the Wafer page shows: a model, the hardware, and how the one lies on the other; plain data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from wse_backend.errors import DoesNotFit
from wse_backend.wafer.defects import DefectMap, draw_usable, expected_yield
from wse_backend.wafer.economics import pipeline
from wse_backend.wafer.placement import Placement, place
from wse_backend.wafer.shapes import PRESETS, ModelShape
from wse_backend.wafer.spec import WaferSpec

WAFER_CHOICES = (0, 1, 2, 4, 8, 16, 32)  # 0: as few as hold the model
MAPPING_NAMES: Mapping[str, str] = {
    "layer": "A region per transformer layer",
    "stage": "A region per stage",
    "shared": "One grid for all",
}
MAPPING_NOTES: Mapping[str, str] = {
    "layer": "Every transformer layer has PEs of its own; nothing moves but activations.",
    "stage": "As many grids as have room, each with a run of transformer layers.",
    "shared": "All transformer layers of a wafer share one grid, one after another, as the reference "
    "measurements did.",
}
KV_NAMES: Mapping[str, str] = {"shift": "Shifted over all rows", "concat": "Last row first"}
WAFER_POINTS = 8  # of a curve over the number of wafers
HOPELESS_YIELD, HOPELESS_DRAWS = 0.001, 2  # so many defects take a while to draw: refuse early
SIZE_SUFFIX = re.compile(r"(-instruct|-chat|-it|-\d+e(-instruct)?)$")


@dataclass(frozen=True)
class Setting:
    """The page's controls. wafers None: as few as hold the model. side None: no grid is given."""

    model: ModelShape
    spec: WaferSpec
    wafers: int | None = None
    context: int = 4096
    prompt_tokens: int = 4096
    mapping: str = "layer"
    side: int | None = None
    kv: str = "shift"
    density_per_cm2: float = 0.1
    seed: int = 1

    def with_model(self, model: ModelShape, context: int | None = None) -> Setting:
        """The same hardware for another model, as few wafers as hold it."""
        return replace(self, model=model, wafers=None, context=context or self.context)

    def placement(self) -> Placement:
        """Raises DoesNotFit, GridTooLarge, InvalidParams."""
        grid = None if self.mapping == "layer" or self.side is None else (self.side, self.side)
        return place(self.model, self.spec, self.context, self.wafers, grid, self.kv, mapping=self.mapping)

    def defects(self, wafers: int) -> tuple[DefectMap, ...]:
        """Usable wafers, drawn. Raises NoUsableWafer, InvalidParams."""
        if float(expected_yield(self.spec, self.density_per_cm2)[0][0]) < HOPELESS_YIELD:
            draw_usable(self.spec, self.density_per_cm2, self.seed, 1, HOPELESS_DRAWS)
        return draw_usable(self.spec, self.density_per_cm2, self.seed, wafers)


def preset_for(name: str) -> ModelShape | None:
    """The preset that a server's name for a model means ("llama-3.3-70b"), or None."""
    known = {_plain(preset): shape for preset, shape in PRESETS.items()}
    return known.get(_plain(name)) or known.get(_plain(SIZE_SUFFIX.sub("", name.lower())))


def _plain(name: str) -> str:
    name = SIZE_SUFFIX.sub("", name.lower().rpartition("/")[2])
    return re.sub(r"(17b|instruct)$", "", re.sub(r"[^a-z0-9]", "", name))


def parameters(shape: ModelShape) -> str:
    """ "8.0 B", "135 M"; of a mixture of experts also what one token uses."""
    active = f", {_big(shape.active_params)} active" if shape.n_experts else ""
    return f"{_big(shape.params)} parameters{active}"


def _big(number: int) -> str:
    return f"{number / 1e9:.1f} B" if number >= 1e9 else f"{number / 1e6:.0f} M"


def unique(names: Iterable[str]) -> list[str]:
    """In order, each once."""
    return list(dict.fromkeys(names))


def wafers_points(setting: Setting) -> list[tuple[int, float, float, float]]:
    """(wafers, one user's tokens/s, all users' tokens/s, first token's seconds) from the fewest wafers on."""
    needed = place(setting.model, setting.spec, setting.context, kv=setting.kv).wafers
    points = []
    for wafers in range(needed, min(needed + WAFER_POINTS, setting.model.n_layers + 1)):
        try:
            placed = place(setting.model, setting.spec, setting.context, wafers, kv=setting.kv)
        except DoesNotFit:  # rounded-up tiles: one wafer more does not always hold more
            continue
        found = pipeline(placed, prompt_tokens=setting.prompt_tokens)
        points.append((wafers, 1 / found.token_s, 1 / found.slowest_s, found.prefill_s))
    return points
