"""Seconds of decode, prefill, GEMV and whole generations on a wafer: counts times constants.

Modelled. The constants were fitted on a WSE-2; for any other wafer they are the same number of its cycles,
and only the clock, the SIMD width and the size of the mesh differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import reduce

import numpy as np
import numpy.typing as npt

from wse_backend.errors import InvalidParams
from wse_backend.wafer.checks import STREAMS_LIMIT, TOKENS_LIMIT, whole
from wse_backend.wafer.routing import EVEN, Routing
from wse_backend.wafer.shapes import BYTES_PER_VALUE, ModelShape, as_shape
from wse_backend.wafer.spec import WaferSpec
from wse_backend.wafer.timing.constants import Constants
from wse_backend.wafer.timing.counts import decode_counts, gemv_counts, head_counts, prefill_counts
from wse_backend.wafer.timing.experts import check_blocks
from wse_backend.wafer.timing.fitted import FITTED
from wse_backend.wafer.timing.ops import Count, Mesh, OpCount
from wse_backend.wafer.timing.result import LayerTiming, OpTiming, PhaseTiming

WORD_BYTES = 4

# What a prefill computes K and V for. "reference": the measured program, as wide as Q. "grouped": what a
# program that knows of grouped-query attention would do; nobody has measured one. Decode is timed grouped in
# both: that is what its measured rows and the cache capacities say (docs/wafer.md).
PROGRAMS = ("reference", "grouped")


def decode(
    shape: ModelShape | str,
    spec: WaferSpec,
    grid: tuple[int, int] = (420, 420),
    context: int = 4096,
    *,
    batch: int = 1,
    routing: Routing = EVEN,
    constants: Constants = FITTED,
) -> PhaseTiming:
    """Time of one decode step: one token for each of `batch` sequences with `context` tokens in the cache.

    All layers share `grid`, layer after layer. routing: of a mixture of experts. Raises InvalidParams
    (context or batch below 1, no such preset, more experts than the grid has blocks for) and GridTooLarge.
    """
    model, (columns, rows) = as_shape(shape), spec.check_grid(grid)
    context, batch = whole("context", context, 1, TOKENS_LIMIT), whole("batch", batch, 1, STREAMS_LIMIT)
    mesh = Mesh.of(spec, columns, rows)
    check_blocks(model, columns, rows, routing)
    layers = _layers(
        model, lambda kind: decode_counts(kind, mesh, context, batch, routing=routing), spec, constants
    )
    head = _timed(head_counts(model, mesh, batch), spec, constants)
    return PhaseTiming("decode", model.name, spec.name, (columns, rows), batch, layers, head)


def prefill(
    shape: ModelShape | str,
    spec: WaferSpec,
    grid: tuple[int, int] = (600, 600),
    tokens: int = 4096,
    *,
    cached: int = 0,
    program: str = "reference",
    routing: Routing = EVEN,
    constants: Constants = FITTED,
) -> PhaseTiming:
    """Time of the prefill of a prompt of `tokens` tokens, behind `cached` ones whose keys are already there.

    program: one of PROGRAMS. The LM head runs for the last token only. Raises as `decode`.
    """
    model, (columns, rows) = as_shape(shape), spec.check_grid(grid)
    tokens, cached = whole("tokens", tokens, 1, TOKENS_LIMIT), whole("cached", cached, 0, TOKENS_LIMIT)
    mesh = Mesh.of(spec, columns, rows)
    check_blocks(model, columns, rows, routing)
    wide_kv = is_wide(program)
    layers = _layers(
        model,
        lambda kind: prefill_counts(kind, mesh, tokens, cached, wide_kv=wide_kv, routing=routing),
        spec,
        constants,
    )
    head = _timed(head_counts(model, mesh), spec, constants)
    return PhaseTiming("prefill", model.name, spec.name, (columns, rows), tokens, layers, head)


def gemv(
    m: int, n: int, spec: WaferSpec, grid: tuple[int, int] | None = None, *, constants: Constants = FITTED
) -> PhaseTiming:
    """Time of one GEMV: a vector of `m` times a matrix of m x n. grid None: the square grid that is fastest.

    The operation is in `extra`. Raises as `decode`.
    """
    m, n = whole("m", m, 1, TOKENS_LIMIT), whole("n", n, 1, TOKENS_LIMIT)
    if grid is None:
        sides = np.arange(1, spec.largest_square + 1)
        cycles = cycles_of(gemv_counts(m, n, Mesh.of(spec, sides, sides)), spec, constants)
        grid = (int(sides[np.argmin(cycles)]),) * 2
    columns, rows = spec.check_grid(grid)
    ops = _timed([gemv_counts(m, n, Mesh.of(spec, columns, rows))], spec, constants)
    return PhaseTiming("gemv", f"{m}x{n}", spec.name, (columns, rows), 1, (), ops)


def gemv_seconds(
    m: int, n: int, spec: WaferSpec, sides: npt.ArrayLike, *, constants: Constants = FITTED
) -> Count:
    """Seconds of one GEMV on square grids; sides broadcast (curves)."""
    return cycles_of(gemv_counts(m, n, Mesh.of(spec, sides, sides)), spec, constants) / spec.clock_hz


def generate(
    shape: ModelShape | str,
    spec: WaferSpec,
    prompt_tokens: int,
    new_tokens: int,
    prefill_grid: tuple[int, int] = (660, 660),
    decode_grid: tuple[int, int] = (420, 420),
    *,
    program: str = "reference",
    routing: Routing = EVEN,
    constants: Constants = FITTED,
) -> PhaseTiming:
    """Time of a whole request: prefill, re-placement onto the decode grid, then one decode step per token.

    Each step sees the context that has grown by then: decode is summed, not averaged. The prefill yields the
    first new token. tokens_per_second counts new tokens over all seconds. Raises as `decode`.
    """
    model = as_shape(shape)
    new_tokens = whole("new_tokens", new_tokens, 1, TOKENS_LIMIT)
    first = prefill(
        model, spec, prefill_grid, prompt_tokens, program=program, routing=routing, constants=constants
    )
    columns, rows = spec.check_grid(decode_grid)
    check_blocks(model, columns, rows, routing)
    mesh = Mesh.of(spec, columns, rows)
    moved = _replacement(model, spec, prompt_tokens, first.grid, (columns, rows))
    contexts, times = _growing(prompt_tokens + 1, prompt_tokens + new_tokens - 1, rows)
    heads = [op.summed(times) for op in head_counts(model, mesh)]
    layers = _layers(
        model,
        lambda kind: [op.summed(times) for op in decode_counts(kind, mesh, contexts, routing=routing)],
        spec,
        constants,
    )
    rest = PhaseTiming(
        "decode",
        model.name,
        spec.name,
        (columns, rows),
        max(new_tokens - 1, 1),
        layers,
        _timed(heads, spec, constants),
    )
    both = tuple(
        LayerTiming(before.index, before.ops + after.ops)
        for before, after in zip(first.layers, rest.layers, strict=True)
    )
    extra = (*first.extra, moved, *rest.extra)
    return PhaseTiming(
        "generate", model.name, spec.name, (columns, rows), new_tokens, both, extra, (first, rest)
    )


def _growing(first: int, last: int, rows: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Contexts first..last, one for each cache tile that they need on `rows` rows, and how many share it."""
    tile = np.arange(-(-first // rows), -(-last // rows) + 1)
    times = np.minimum(tile * rows, last) - np.maximum((tile - 1) * rows, first - 1)
    return tile * rows, np.maximum(times, 0)


def decode_seconds(
    shape: ModelShape,
    spec: WaferSpec,
    sides: npt.ArrayLike,
    context: npt.ArrayLike,
    batch: npt.ArrayLike = 1,
    routing: Routing = EVEN,
    constants: Constants = FITTED,
) -> Count:
    """Seconds of a decode step on square grids; sides, context and batch broadcast (curves, searches)."""
    mesh = Mesh.of(spec, sides, sides)
    layers = sum(
        n * _cycles(decode_counts(kind, mesh, context, batch, routing=routing), spec, constants)
        for kind, n in shape.kinds
    )
    return (layers + _cycles(head_counts(shape, mesh, batch), spec, constants)) / spec.clock_hz


def prefill_seconds(
    shape: ModelShape,
    spec: WaferSpec,
    sides: npt.ArrayLike,
    tokens: npt.ArrayLike,
    cached: npt.ArrayLike = 0,
    program: str = "reference",
    routing: Routing = EVEN,
    constants: Constants = FITTED,
) -> Count:
    """Seconds of a prefill on square grids; sides, tokens and cached broadcast."""
    mesh = Mesh.of(spec, sides, sides)
    wide_kv, layers = is_wide(program), np.zeros(())
    for kind, n in shape.kinds:
        ops = prefill_counts(kind, mesh, tokens, cached, wide_kv=wide_kv, routing=routing)
        layers = layers + n * _cycles(ops, spec, constants)
    return (layers + _cycles(head_counts(shape, mesh), spec, constants)) / spec.clock_hz


def is_wide(program: str) -> bool:
    """Whether a program's prefill computes K and V as wide as Q. Raises InvalidParams (no such program)."""
    if program not in PROGRAMS:
        raise InvalidParams("program", program, ", ".join(PROGRAMS))
    return program == "reference"


def best_side(shape: ModelShape | str, spec: WaferSpec, phase: str, tokens: int = 4096) -> int:
    """Side of the fastest square grid for a phase ("decode", "prefill"), memory not considered."""
    model = as_shape(shape)
    sides = np.arange(1, spec.largest_square + 1)
    if phase not in ("decode", "prefill"):
        raise InvalidParams("phase", phase, "decode, prefill")
    seconds_of = decode_seconds if phase == "decode" else prefill_seconds
    return int(sides[np.argmin(seconds_of(model, spec, sides, whole("tokens", tokens, 1, TOKENS_LIMIT)))])


def replacement_seconds(
    shape: ModelShape, spec: WaferSpec, context: int, before: tuple[int, int], after: tuple[int, int]
) -> float:
    """Seconds to move weights and cache from one tiling to another over the mesh; 0 when they are the same.

    Half of all bytes cross the middle of the smaller grid, over one link per row (no fitted constant).
    """
    if before == after:
        return 0.0
    moved = shape.params * BYTES_PER_VALUE + shape.cache_bytes(context)
    cut = min(before[1], after[1]) * spec.link_bytes_per_cycle * spec.clock_hz
    return moved / 2 / cut


def _replacement(
    shape: ModelShape, spec: WaferSpec, context: int, before: tuple[int, int], after: tuple[int, int]
) -> OpTiming:
    seconds = replacement_seconds(shape, spec, context, before, after)
    return OpTiming("re-placement", "placement", 0.0, seconds, 0.0, 0.0)


def _cycles(ops: Iterable[OpCount], spec: WaferSpec, constants: Constants) -> Count:
    return reduce(np.add, [cycles_of(op, spec, constants) for op in ops])


def cycles_of(op: OpCount, spec: WaferSpec, constants: Constants) -> Count:
    """Cycles of an operation, all causes together."""
    return reduce(np.add, _by_cause(op, spec, constants))


def _by_cause(op: OpCount, spec: WaferSpec, constants: Constants) -> tuple[Count, Count, Count, Count]:
    """Cycles of an operation: compute, hops, routing stages, fixed overhead."""
    compute = op.macs / spec.simd_width + constants.dispatch * op.dispatches + constants.element * op.elements
    on_link = op.words * WORD_BYTES / spec.link_bytes_per_cycle
    hops = constants.hop * op.hops + constants.dispatch * op.moves + on_link
    overhead = constants.step * op.steps + constants.local * op.locals
    return compute, hops, constants.stage * op.stages, overhead


def _timed(ops: list[OpCount], spec: WaferSpec, constants: Constants) -> tuple[OpTiming, ...]:
    timed = []
    for op in ops:
        seconds = (float(cycles) / spec.clock_hz for cycles in _by_cause(op, spec, constants))
        timed.append(OpTiming(op.name, op.group, *seconds))
    return tuple(timed)


def _layers(
    shape: ModelShape,
    ops_of: Callable[[ModelShape], list[OpCount]],
    spec: WaferSpec,
    constants: Constants,
) -> tuple[LayerTiming, ...]:
    """Every layer, each kind of which is timed once."""
    timed = {kind: _timed(ops_of(kind), spec, constants) for kind, _ in shape.kinds}
    return tuple(LayerTiming(index, timed[shape.kind_of(index)]) for index in range(shape.n_layers))
