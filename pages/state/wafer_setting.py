"""What the Wafer page shows: a model, the hardware, and how the one lies on the other; plain data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from wse_backend.errors import DoesNotFit
from wse_backend.wafer.defects import DefectMap, draw_usable, expected_yield
from wse_backend.wafer.economics import Workload, pipeline_intervals
from wse_backend.wafer.placement import Placement, place
from wse_backend.wafer.routing import EVEN, RouterTrace, Routing
from wse_backend.wafer.shapes import PRESETS, ModelShape
from wse_backend.wafer.spec import WaferSpec
from wse_backend.wafer.timing.interval import Interval

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
PROGRAM_NAMES: Mapping[str, str] = {
    "reference": "As published",
    "grouped": "Grouped K and V",
}
EXPERT_NAMES: Mapping[str, str] = {
    "spread": "Spread over the region",
    "blocks": "A block each",
}
DRAWN_TOKENS = 1024  # of a drawn trace; the busiest expert's share hardly changes with more
WAFER_POINTS = 8  # of a curve over the number of wafers
HOPELESS_YIELD, HOPELESS_DRAWS = 0.001, 2  # so many defects take a while to draw: refuse early
SIZE_SUFFIX = re.compile(r"(-instruct|-thinking|-chat|-it|-\d+e(-instruct)?)(-\d{4})?$")
MAKER_PREFIX = re.compile(r"^(zai|meta|openai|google|deepseek-ai)-(?=[a-z]+-?\d)")


@dataclass(frozen=True)
class Setting:
    """The page's controls. wafers None: as few as hold the model. side None: no grid is given.

    program: of the prefill (timing.PROGRAMS). experts, skew, trace: of a mixture of experts, how they are
    laid out and how unevenly tokens fall; a trace takes the place of drawn ones.
    """

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
    program: str = "reference"
    experts: str = "spread"
    skew: float = 0.2
    trace: RouterTrace | None = None

    def with_model(self, model: ModelShape, context: int | None = None) -> Setting:
        """The same hardware for another model, as few wafers as hold it; a trace stays with its own model."""
        trace = self.trace if model == self.model else None
        return replace(self, model=model, wafers=None, context=context or self.context, trace=trace)

    def placement(self) -> Placement:
        """Raises DoesNotFit, GridTooLarge, InvalidParams."""
        grid = None if self.mapping == "layer" or self.side is None else (self.side, self.side)
        experts = self.experts if self.model.n_experts else "spread"
        return _placed(self.model, self.spec, self.context, self.wafers, grid, self.kv, self.mapping, experts)

    def routing(self, tokens: int) -> Routing:
        """Where experts lie and how unevenly `tokens` tokens at once fall on them. Raises InvalidParams."""
        if not self.model.n_experts:
            return EVEN
        if self.trace is not None:
            self.trace.check(self.model)
            return Routing(self.experts, self.trace.imbalance(tokens))
        return Routing(self.experts, drawn_imbalance(self.model, tokens, self.skew, self.seed))

    def workload(self, prompt_tokens: int | None = None) -> Workload:
        """What the page times a placement for."""
        prompt = self.prompt_tokens if prompt_tokens is None else prompt_tokens
        return Workload(
            context=self.context,
            prompt_tokens=prompt,
            program=self.program,
            routing=self.routing(1),
            prefill_routing=self.routing(max(prompt, 1)),
        )

    def defects(self, wafers: int) -> tuple[DefectMap, ...]:
        """Usable wafers, drawn. Raises NoUsableWafer, InvalidParams."""
        if float(expected_yield(self.spec, self.density_per_cm2)[0][0]) < HOPELESS_YIELD:
            draw_usable(self.spec, self.density_per_cm2, self.seed, 1, HOPELESS_DRAWS)
        return draw_usable(self.spec, self.density_per_cm2, self.seed, wafers)


@lru_cache(maxsize=64)  # a large model takes 0.2 s, and every rerun of the page asks again
def _placed(
    model: ModelShape,
    spec: WaferSpec,
    context: int,
    wafers: int | None,
    grid: tuple[int, int] | None,
    kv: str,
    mapping: str,
    experts: str,
) -> Placement:
    return place(model, spec, context, wafers, grid, kv, mapping=mapping, experts=experts)


@lru_cache(maxsize=64)
def drawn_imbalance(model: ModelShape, tokens: int, skew: float, seed: int) -> float:
    """Busiest expert over the mean of a drawn trace of at most DRAWN_TOKENS tokens."""
    drawn = min(tokens, DRAWN_TOKENS)
    return RouterTrace.drawn(model, drawn, skew, seed).imbalance(drawn)


def preset_for(name: str) -> ModelShape | None:
    """The preset that a server's name for a model means ("llama-3.3-70b"), or None."""
    known = {_plain(preset): shape for preset, shape in PRESETS.items()}
    return known.get(_plain(name)) or known.get(_plain(SIZE_SUFFIX.sub("", name.lower())))


def _plain(name: str) -> str:
    name = MAKER_PREFIX.sub("", SIZE_SUFFIX.sub("", name.lower().rpartition("/")[2]))
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


@dataclass(frozen=True)
class WaferPoint:
    """A model on one number of wafers: one user's token, a full pipeline's token, the first token."""

    wafers: int
    token_s: Interval
    slowest_s: Interval
    prefill_s: Interval


def wafers_points(setting: Setting) -> list[WaferPoint]:
    """Times from the fewest wafers that hold the model on. Raises DoesNotFit, InvalidParams."""
    found = replace(setting, mapping="layer", side=None, wafers=None)
    needed = found.placement().wafers
    points = []
    for wafers in range(needed, min(needed + WAFER_POINTS, setting.model.n_layers + 1)):
        try:
            placed = replace(found, wafers=wafers).placement()
        except DoesNotFit:  # rounded-up tiles: one wafer more does not always hold more
            continue
        times = pipeline_intervals(placed, setting.workload())
        points.append(WaferPoint(wafers, times.token_s, times.slowest_s, times.prefill_s))
    return points
