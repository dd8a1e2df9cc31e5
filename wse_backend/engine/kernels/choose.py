"""The choice of one token from logits, in a fixed order: the same numbers choose the same token everywhere.

Heavier tokens first, equal ones by token id. Only tokens that weigh something are looked at more than once,
and only as many of the heaviest are brought into order as top-k and top-p keep.
"""

from typing import Any

import numpy as np
from numba import carray, cfunc, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from wse_backend.engine.kernels import vectors as v
from wse_backend.engine.kernels.source_stamp import SOURCE_STAMP
from wse_backend.engine.kernels.team import INNER

# Tokens less likely than e**-25 of the most likely one are left out: all 150,000 of them together weigh
# below 3e-6, far less than the rounding of the float32 logits already moves.
NEGLIGIBLE = 25.0
HEAVY = 1e-3  # of the most likely token's weight
LANES = v.LANES
LOWEST = np.float32(-3.4028234663852886e38)

CHOOSE_SIGNATURE = types.int64(
    types.CPointer(types.float32), types.int64, types.float64, types.int64, types.float64, types.float64,
    types.CPointer(types.int32), types.CPointer(types.float32),
)  # fmt: skip


@intrinsic
def _highest(typingctx, logits, n):
    """The largest of n float32; NaN if one of them is NaN."""

    def codegen(context: Any, b: v.Builder, signature: Any, args: Any) -> Any:
        logits, n = args
        lanes = b.shl(b.lshr(n, v.i64(4)), v.i64(4))
        top = cgutils.alloca_once_value(b, v.constant(v.v16f32, float(LOWEST)))
        with cgutils.for_range(b, b.lshr(n, v.i64(4))) as loop:
            value = v.load(b, b.add(logits, b.shl(loop.index, v.i64(6))), 0, v.v16f32)
            # Not less or equal: NaN takes the place, and keeps it.
            is_more = b.fcmp_unordered(">", value, b.load(top))
            is_lost = b.fcmp_unordered("uno", b.load(top), b.load(top))
            b.store(b.select(b.and_(is_more, b.not_(is_lost)), value, b.load(top)), top)
        best = cgutils.alloca_once_value(b, v.f32(float(LOWEST)))

        def take(value: Any) -> None:
            is_lost = b.fcmp_unordered("uno", b.load(best), b.load(best))
            is_more = b.and_(b.fcmp_unordered(">", value, b.load(best)), b.not_(is_lost))
            b.store(b.select(is_more, value, b.load(best)), best)

        for lane in range(v.LANES):
            take(b.extract_element(b.load(top), v.i32(lane)))
        with cgutils.for_range(b, b.sub(n, lanes)) as loop:
            take(v.load(b, b.add(logits, b.shl(b.add(lanes, loop.index), v.i64(2))), 0, v.f32))
        return b.load(best)

    return types.float32(types.int64, types.int64), codegen


@intrinsic
def _weigh(typingctx, logits, n, top, temperature):
    """logits[i] = e**((logits[i] - top) / temperature) for n float32, and for what fills the last 16."""

    def codegen(context: Any, b: v.Builder, signature: Any, args: Any) -> Any:
        logits, n, top, temperature = args
        many, warm = v.splat(b, top), v.splat(b, temperature)
        with cgutils.for_range(b, b.lshr(b.add(n, v.i64(v.LANES - 1)), v.i64(4))) as loop:
            at = b.add(logits, b.shl(loop.index, v.i64(6)))
            distance = b.fsub(v.load(b, at, 0, v.v16f32), many)
            v.store(b, v.exp(b, b.fdiv(distance, warm)), at)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.float32, types.float32), codegen


@njit(**INNER)
def _is_before(tokens: Any, weights: Any, a: int, b: int) -> bool:
    """Whether candidate `a` ranks before `b`."""
    if weights[a] != weights[b]:
        return bool(weights[a] > weights[b])
    return bool(tokens[a] < tokens[b])


@njit(**INNER)
def _swap(tokens: Any, weights: Any, a: int, b: int) -> None:
    token, weight = tokens[a], weights[a]
    tokens[a], weights[a] = tokens[b], weights[b]
    tokens[b], weights[b] = token, weight


@njit(**INNER)
def _sink(tokens: Any, weights: Any, root: int, n: int) -> None:
    """Restore the heap of the first n candidates below `root`."""
    while 2 * root + 1 < n:
        child = 2 * root + 1
        if child + 1 < n and _is_before(tokens, weights, child + 1, child):
            child += 1
        if not _is_before(tokens, weights, child, root):
            return
        _swap(tokens, weights, child, root)
        root = child


@njit(**INNER)
def _heaviest(tokens: Any, weights: Any, n: int, top_k: int, enough: float) -> int:
    """Bring heavy candidates to the front, as many as top-k, or as reach the weight `enough`; how many.

    Nearly always a handful decides, and the thousands behind them need no order.
    """
    n_heavy, reached = 0, 0.0
    for i in range(n):
        if weights[i] > HEAVY:
            reached += np.float64(weights[i])
            _swap(tokens, weights, i, n_heavy)
            n_heavy += 1
    if n_heavy >= top_k if top_k > 0 else reached > enough:
        return n_heavy
    return n


@njit(**INNER)
def _nucleus(tokens: Any, weights: Any, n: int, top_k: int, top_p: float) -> tuple[int, int]:
    """Put the `top_k` heaviest of n candidates, and of those enough for `top_p`, behind each other.

    Returns where they begin and end, the lightest first: a heap gives them one after the other.
    """
    total = 0.0
    for i in range(n):
        total += np.float64(weights[i])
    is_cut = 0 < top_k < n
    n = _heaviest(tokens, weights, n, top_k if is_cut else 0, top_p * total)
    for root in range(n // 2 - 1, -1, -1):
        _sink(tokens, weights, root, n)
    kept, reached = 0, 0.0
    while kept < n and (kept < top_k if is_cut else reached < top_p * total or kept == 0):
        reached += np.float64(weights[0])
        kept += 1
        _swap(tokens, weights, 0, n - kept)
        _sink(tokens, weights, 0, n - kept)
    if is_cut:
        whole, reached = reached, 0.0
        for i in range(1, kept + 1):
            reached += np.float64(weights[n - i])
            if reached >= top_p * whole:
                kept = i
                break
    return n - kept, n


def compile_choose() -> Any:
    """Return the C function (logits, n, temperature, top_k, top_p, draw, tokens, weights) -> token id.

    logits: n float32; temperature 0: the first of the largest; top_k 0, top_p 1: keep all; draw:
    in [0, 1); tokens, weights: scratch for n and 16 more. -1 when a logit is NaN or the largest is infinite.
    """
    stamp = SOURCE_STAMP

    def choose(logits, n, temperature, top_k, top_p, draw, tokens_at, weights_at):
        _ = stamp
        values = carray(logits, (n,))
        top = _highest(values.ctypes.data, n)
        if not abs(top) < np.inf or top == LOWEST:
            return -1
        tokens, weights = carray(tokens_at, (n + LANES,)), carray(weights_at, (n + LANES,))
        low = top - np.float32(NEGLIGIBLE * temperature)
        count = 0
        for token in range(n):
            if values[token] >= low:
                if temperature == 0.0:
                    return token
                tokens[count], weights[count] = token, values[token]
                count += 1
        _weigh(weights.ctypes.data, count, top, np.float32(temperature))
        first, stop = 0, count
        if 0 < top_k < count or top_p < 1.0:
            first, stop = _nucleus(tokens, weights, count, top_k, top_p)
            for i in range((stop - first) // 2):  # the heaviest first
                _swap(tokens, weights, first + i, stop - 1 - i)
        total = 0.0
        for i in range(first, stop):
            total += np.float64(weights[i])
        target, reached = draw * total, 0.0
        for i in range(first, stop):
            reached += np.float64(weights[i])
            if reached > target:
                return np.int64(tokens[i])
        return np.int64(tokens[stop - 1])

    return cfunc(CHOOSE_SIGNATURE, cache=True, error_model="numpy")(choose)
