"""Which layer lives where on how many wafers, what it takes of each PE's SRAM, and how long a context fits.

Three mappings:

- "layer": every layer has a region of its own; regions of neighbouring layers touch. Nothing moves but
  activations, and a full pipeline keeps all regions busy. The default without a grid.
- "stage": the wafer is cut into as many regions as grids of the asked size have room; each holds a run of
layers.
  The default with a grid. This is how the reference counts its cache capacity.
- "shared": all layers of a wafer lie on one grid, layer after layer, as the reference times them.

Modelled. The capacities of the reference (137,548 tokens with kv="shift", 382 with "concat", for llama3-8b on
360 x 360) are met within 8 %, not exactly: what else its program keeps in SRAM is not published.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from wse_backend.errors import DoesNotFit, InvalidParams
from wse_backend.wafer.checks import TOKENS_LIMIT, whole
from wse_backend.wafer.defects import DefectMap
from wse_backend.wafer.routing import Routing
from wse_backend.wafer.shapes import BYTES_PER_VALUE, ModelShape, as_shape
from wse_backend.wafer.spec import WaferSpec
from wse_backend.wafer.sram import (
    SCORE_BYTES,
    bands,
    buffer_bytes,
    cache_bytes_per_slot,
    layer_weight_bytes,
)
from wse_backend.wafer.timing.experts import block_sides, check_blocks

MAPPINGS = ("layer", "stage", "shared")
KV_LAYOUTS = ("shift", "concat")
CONTEXT_LIMIT = TOKENS_LIMIT
WAFERS_LIMIT = 1024

__all__ = ["KV_LAYOUTS", "MAPPINGS", "DoesNotFit", "Placement", "Region", "place"]


@dataclass(frozen=True)
class Region:
    """A rectangle of PEs on one wafer and what it holds.

    kind: "layers", "embedding" or "head". x, y, width, height: where it is drawn. grid: the columns and rows
    its matrices are tiled over; it has as many PEs as the rectangle or fewer (a "stage" region is drawn with
    equal area and not always in the grid's own proportions). Bytes are those of the critical PE.
    """

    wafer: int
    kind: str
    layers: tuple[int, ...]
    x: int
    y: int
    width: int
    height: int
    grid: tuple[int, int]
    weight_bytes: int
    kv_bytes: int
    buffer_bytes: int

    @property
    def bytes_per_pe(self) -> int:
        """SRAM taken on the critical PE."""
        return self.weight_bytes + self.kv_bytes + self.buffer_bytes

    @property
    def pes(self) -> int:
        """PEs at work."""
        return self.grid[0] * self.grid[1]


@dataclass(frozen=True)
class Placement:
    """A model laid out on `wafers` wafers. max_context: tokens of one sequence that the SRAM holds, at most
    CONTEXT_LIMIT.

    bytes_per_pe: SRAM taken on the fullest PE at `context` tokens. experts: how they are laid out
    (routing.py).
    """

    model: ModelShape
    spec: WaferSpec
    mapping: str
    kv: str
    wafers: int
    context: int
    max_context: int
    regions: tuple[Region, ...] = field(repr=False)
    experts: str = "spread"
    kind: str = "modelled"

    @property
    def bytes_per_pe(self) -> int:
        return max(region.bytes_per_pe for region in self.regions)

    @property
    def layer_regions(self) -> tuple[Region, ...]:
        """The regions that hold layers, in the order in which a token passes them."""
        return tuple(region for region in self.regions if region.kind == "layers")

    def held(self, context: int) -> int:
        """Sequences of `context` tokens whose keys and values the SRAM holds at once."""
        return min(_tokens_held(self, region, context) for region in self.layer_regions) // context


def place(
    shape: ModelShape | str,
    spec: WaferSpec,
    context: int = 4096,
    wafers: int | None = None,
    grid: tuple[int, int] | None = None,
    kv: str = "shift",
    *,
    mapping: str | None = None,
    experts: str = "spread",
    defects: Sequence[DefectMap] = (),
) -> Placement:
    """Lay a model out on as few wafers as hold it, or on exactly `wafers`.

    context: tokens of one sequence whose keys and values must fit. grid: columns and rows of a region.
    kv: "shift" spreads the cache over all rows of a grid, "concat" fills its last row. experts: of a mixture
    of experts, "spread" over all PEs of a region or in "blocks" of their own. defects: the wafers'
    maps, which must all be usable (spares take the defective PEs' places; the mesh keeps its size).

    Raises DoesNotFit (with the missing bytes and the wafers that would do), GridTooLarge, and InvalidParams
    (context below 1, unknown kv or mapping, more experts than PEs, an unusable wafer among `defects`).
    """
    model = as_shape(shape)
    request = _request(model, spec, context, grid, kv, mapping, experts)
    if wafers is not None:
        wafers = whole("wafers", wafers, 1, WAFERS_LIMIT)
    for index, found in enumerate(defects):
        if not found.is_usable:
            raise InvalidParams(f"defects of wafer {index}", int(found.per_row.max()), _spares(spec))
    if wafers is not None:
        placement = _layout(request, min(wafers, model.n_layers), wafers)
        missing = _missing_bytes(placement)
        if missing:
            raise DoesNotFit(model.name, spec.name, wafers, missing, _fewest(request, wafers + 1))
        return placement
    needed = _fewest(request, 1)
    if needed is None:
        allowed = min(model.n_layers, WAFERS_LIMIT)
        missing = _missing_bytes(_layout(request, allowed, allowed))
        raise DoesNotFit(model.name, spec.name, allowed, missing, None)
    return _layout(request, needed, needed)


@dataclass(frozen=True)
class _Request:
    model: ModelShape
    spec: WaferSpec
    context: int
    grid: tuple[int, int] | None
    kv: str
    mapping: str
    experts: str


def _request(
    model: ModelShape,
    spec: WaferSpec,
    context: int,
    grid: tuple[int, int] | None,
    kv: str,
    mapping: str | None,
    experts: str,
) -> _Request:
    context = whole("context", context, 1, CONTEXT_LIMIT)
    if kv not in KV_LAYOUTS:
        raise InvalidParams("kv", kv, ", ".join(KV_LAYOUTS))
    if mapping is None:
        mapping = "layer" if grid is None else "stage"
    if mapping not in MAPPINGS:
        raise InvalidParams("mapping", mapping, ", ".join(MAPPINGS))
    if grid is not None:
        grid = spec.check_grid(grid)
    if mapping == "layer" and grid is not None:
        raise InvalidParams("grid", grid, 'none with mapping "layer": the wafer is shared out evenly')
    if mapping == "stage" and grid is None:
        raise InvalidParams("grid", None, 'columns and rows with mapping "stage"')
    columns, rows = grid or (spec.columns, spec.rows)
    check_blocks(model, columns, rows, Routing(experts))
    return _Request(model, spec, context, grid, kv, mapping, experts)


def _spares(spec: WaferSpec) -> str:
    return f"at most {spec.spare_columns} defects in a row of {spec.name}"


def _fewest(request: _Request, start: int) -> int | None:
    """The smallest number of wafers, at least `start`, that holds the model; None when no number does.

    Tiles are rounded up, so one wafer more does not always hold more: every number is tried in turn.
    """
    model, spec = request.model, request.spec
    least = -(-model.params * BYTES_PER_VALUE // spec.sram_bytes)
    for wafers in range(max(start, least), min(model.n_layers, WAFERS_LIMIT) + 1):
        if not _missing_bytes(_layout(request, wafers, wafers)):
            return wafers
    return None


def _layout(request: _Request, used: int, wafers: int) -> Placement:
    """Lay out on `used` of `wafers` wafers without asking whether it fits."""
    model = request.model
    regions: list[Region] = []
    for wafer, layers in enumerate(_shares(model, used)):
        regions += _one_wafer(request, wafer, layers, wafer == 0, wafer == used - 1)
    found = Placement(
        model,
        request.spec,
        request.mapping,
        request.kv,
        wafers,
        request.context,
        0,
        tuple(regions),
        request.experts,
    )
    return replace(found, max_context=min(_capacity(found, region) for region in found.layer_regions))


def _shares(model: ModelShape, used: int) -> list[tuple[int, ...]]:
    """The layers of each wafer: runs of about equal bytes, embedding and head counted; at least one each."""
    table = model.vocab_size * model.dim
    before = 0 if model.is_tied else table
    until = np.cumsum([0, *(model.kind_of(layer).layer_params for layer in range(model.n_layers))])
    per_wafer = (before + int(until[-1]) + table) / used
    edges = [0]
    for wafer in range(1, used):
        edge = int(np.abs(until - (wafer * per_wafer - before)).argmin())
        edges.append(min(max(edge, edges[-1] + 1), model.n_layers - (used - wafer)))
    return [tuple(range(first, last)) for first, last in pairwise([*edges, model.n_layers])]


def _one_wafer(
    request: _Request, wafer: int, layers: tuple[int, ...], is_first: bool, is_last: bool
) -> list[Region]:
    """The regions of one wafer: the embedding's strip above, the head's below, the layers between."""
    model, spec = request.model, request.spec
    table = model.vocab_size * model.dim * BYTES_PER_VALUE
    top = _strip_rows(spec, table) if is_first and not model.is_tied else 0
    bottom = _strip_rows(spec, table) if is_last else 0
    height = max(spec.rows - top - bottom, 1)
    regions = [_strip(spec, wafer, "embedding", 0, top, table)] if top else []
    if request.mapping == "layer":
        rectangles = _fair_rectangles(request, height, layers)
        for layer, (x, y, wide, high) in zip(layers, rectangles, strict=True):
            regions.append(_region(request, wafer, (layer,), (x, y + top, wide, high), (wide, high)))
    else:
        grid = request.grid or (min(spec.columns, height),) * 2
        room = spec.columns * height // (grid[0] * grid[1]) if request.mapping == "stage" else 1
        stages = max(1, min(room, len(layers)))
        rectangles = bands(spec.columns, height, [1] * stages, round(stages**0.5))
        for stage, (x, y, wide, high) in enumerate(rectangles):
            run = layers[len(layers) * stage // stages : len(layers) * (stage + 1) // stages]
            regions.append(_region(request, wafer, run, (x, y + top, wide, high), grid))
    if bottom:
        regions.append(_strip(spec, wafer, "head", spec.rows - bottom, bottom, table))
    return regions


def _fair_rectangles(
    request: _Request, height: int, layers: tuple[int, ...]
) -> list[tuple[int, int, int, int]]:
    """Regions for layers, in that number of bands that wastes least on tiles.

    Areas go with the layers' bytes, and what SRAM is left is shared out evenly. Where some layers would get
    no PE at all, all get as many.
    """
    kinds = [request.model.kind_of(layer) for layer in layers]

    def fullest(rectangles: list[tuple[int, int, int, int]]) -> int:
        alike = {
            (wide, high, kind): layer
            for layer, kind, (_, _, wide, high) in zip(layers, kinds, rectangles, strict=True)
        }
        return max(
            _region(request, 0, (layer,), (0, 0, wide, high), (wide, high)).bytes_per_pe
            for (wide, high, _), layer in alike.items()
        )

    n = len(layers)
    counts = range(1, min(n, height, 2 * round(n**0.5) + 1) + 1)
    best: list[tuple[int, int, int, int]] = []
    for areas in _area_choices(request, height, kinds):
        cuts = [bands(request.spec.columns, height, areas, count) for count in counts]
        whole = [cut for cut in cuts if all(wide and high for _, _, wide, high in cut)]
        found = min(whole, key=fullest, default=[])
        if found and fullest(found) <= request.spec.sram_bytes_per_pe:
            return found
        best = min([cut for cut in (best, found) if cut], key=fullest, default=[])
    return best


def _area_choices(request: _Request, height: int, kinds: Sequence[ModelShape]) -> list[tuple[int, ...]]:
    """Areas of layers of `kinds` to try, the best first.

    Layers with a window are also tried as if they saw all: regions that are alike waste less on tiles.
    """
    n, room = len(kinds), request.spec.columns * height * request.spec.sram_bytes_per_pe
    choices: list[tuple[int, ...]] = []
    for seen in (
        [kind.seen(request.context) for kind in kinds],
        [request.context] * n,
    ):
        sizes = [
            BYTES_PER_VALUE * (kind.layer_params + tokens * kind.cache_dim)
            for kind, tokens in zip(kinds, seen, strict=True)
        ]
        spare = max(room - sum(sizes), 0) // n
        choices += [tuple(size + spare for size in sizes), tuple(sizes)]
    return list(dict.fromkeys([*choices, (1,) * n]))


def _strip_rows(spec: WaferSpec, table_bytes: int) -> int:
    """Full rows of PEs that hold an embedding or a head, a tenth of each PE left for buffers."""
    per_row = spec.columns * spec.sram_bytes_per_pe * 0.9
    return min(max(1, round(table_bytes / per_row + 0.5)), spec.rows)


def _strip(spec: WaferSpec, wafer: int, kind: str, y: int, height: int, table_bytes: int) -> Region:
    share = -(-table_bytes // (spec.columns * height))
    grid = (spec.columns, height)
    return Region(wafer, kind, (), 0, y, spec.columns, height, grid, share, 0, 0)


def _region(
    request: _Request,
    wafer: int,
    layers: tuple[int, ...],
    rectangle: tuple[int, int, int, int],
    grid: tuple[int, int],
) -> Region:
    kinds = Counter(request.model.kind_of(layer) for layer in layers)
    slots = {kind: _slots(request.kv, kind.seen(request.context), grid) for kind in kinds}
    of_kind = {kind: layer_weight_bytes(kind, grid, request.experts) for kind in kinds}
    return Region(
        wafer,
        "layers",
        layers,
        *rectangle,
        grid,
        weight_bytes=sum(n * of_kind[kind] for kind, n in kinds.items()),
        kv_bytes=sum(n * slots[kind] * cache_bytes_per_slot(kind, grid) for kind, n in kinds.items()),
        buffer_bytes=max(buffer_bytes(kind, grid) for kind in kinds) + max(slots.values()) * SCORE_BYTES,
    )


def _slots(kv: str, tokens: int, grid: tuple[int, int]) -> int:
    """Tokens in the fullest PE: of all rows with "shift", of the last one with "concat"."""
    return -(-tokens // grid[1]) if kv == "shift" else tokens


def _free_bytes(placement: Placement, region: Region, kinds: Iterable[ModelShape]) -> int:
    """SRAM of the critical PE beside weights and the buffers that do not grow with the context."""
    buffers = max(buffer_bytes(kind, region.grid) for kind in kinds)
    return max(0, placement.spec.sram_bytes_per_pe - region.weight_bytes - buffers)


def _capacity(placement: Placement, region: Region) -> int:
    """Tokens of one sequence that the region has SRAM for; windows that are full take no more."""
    kinds = Counter(placement.model.kind_of(layer) for layer in region.layers)
    free, rows = _free_bytes(placement, region, kinds), region.grid[1] if placement.kv == "shift" else 1
    window = max(kind.window for kind in kinds)
    growing = SCORE_BYTES + sum(n * cache_bytes_per_slot(kind, region.grid) for kind, n in kinds.items())
    slots = free // growing
    if window and slots >= (full := _slots(placement.kv, window, region.grid)):
        whole = {kind: n for kind, n in kinds.items() if not kind.window}
        if not whole:
            return CONTEXT_LIMIT
        per_slot = sum(n * cache_bytes_per_slot(kind, region.grid) for kind, n in whole.items())
        in_windows = full * (growing - per_slot - SCORE_BYTES)
        slots = (free - in_windows) // (per_slot + SCORE_BYTES)
    return min(slots * rows, CONTEXT_LIMIT)


def _tokens_held(placement: Placement, region: Region, context: int) -> int:
    """Tokens of sequences of `context` that the region has SRAM for; in windows only a share of each."""
    kinds = Counter(placement.model.kind_of(layer) for layer in region.layers)
    free, rows = _free_bytes(placement, region, kinds), region.grid[1] if placement.kv == "shift" else 1
    shares = sum(
        n * kind.seen(context) / context * cache_bytes_per_slot(kind, region.grid)
        for kind, n in kinds.items()
    )
    scores = SCORE_BYTES * max(kind.seen(context) for kind in kinds) / context
    return int(free // (shares + scores)) * rows


def _missing_bytes(placement: Placement) -> int:
    """Bytes short over all regions: per critical PE, times the PEs of its region; and PEs short, in full."""
    spec, missing = placement.spec, 0
    for wafer in range(placement.wafers):
        here = [region for region in placement.regions if region.wafer == wafer]
        missing += max(0, sum(region.pes for region in here) - spec.pes) * spec.sram_bytes_per_pe
        for region in here:
            missing += max(0, region.bytes_per_pe - spec.sram_bytes_per_pe) * region.pes
            missing += _blocks_short(placement, region) * spec.sram_bytes_per_pe
    return missing


def _blocks_short(placement: Placement, region: Region) -> int:
    """PEs that a region lacks for a block of every expert of its layers."""
    n_experts = max((placement.model.kind_of(layer).n_experts for layer in region.layers), default=0)
    if placement.experts != "blocks" or not n_experts:
        return 0
    sides = block_sides(n_experts, np.asarray(region.grid[0]), np.asarray(region.grid[1]))
    return 0 if all(sides) else max(1, n_experts - region.pes)


def with_context(placement: Placement, context: int) -> Placement:
    """The same layout with another number of tokens in the cache, for curves over the context.

    Raises InvalidParams (context below 1) and DoesNotFit.
    """
    grid = None if placement.mapping == "layer" else placement.layer_regions[0].grid
    return place(
        placement.model,
        placement.spec,
        context,
        placement.wafers,
        grid,
        placement.kv,
        mapping=placement.mapping,
        experts=placement.experts,
    )
