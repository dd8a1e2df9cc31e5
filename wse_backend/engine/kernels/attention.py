"""Attention of one token over a paged KV cache, for the query heads that share one KV head.

The cache comes in blocks of 16 positions: keys as (head_dim, 16), so that one vector holds one dimension
of 16 positions; values as (16, head_dim). Values are float16; keys are float16 or float32: architectures
with a bias on their keys have entries in the hundreds, whose float16 rounding moves the logits.
Positions are visited in order, so a token's result does not depend on how its prompt was split.
"""

from typing import Any

from llvmlite import ir
from numba import cfunc, types
from numba.core import cgutils
from numba.extending import intrinsic

from wse_backend.engine.kernels import vectors as v
from wse_backend.engine.kernels.primitives import emit_softcap
from wse_backend.engine.kernels.source_stamp import SOURCE_STAMP

BLOCK_POSITIONS = v.LANES  # positions per cache block
ACCUMULATORS = 24  # vectors of partial sums kept in registers at a time

ATTENTION_SIGNATURE = types.void(*[types.int64] * 10)


def _block_base(b: v.Builder, kv: Any, table: Any, block: Any, block_bytes: Any) -> Any:
    """The address of cache block `table[block]`."""
    index = v.load(b, b.add(table, b.mul(block, v.i64(4))), 0, v.i32)
    return b.add(kv, b.mul(b.zext(index, v.i64), block_bytes))


def _lanes_seen(b: v.Builder, skip: Any, n_positions: Any, block: Any) -> Any:
    """A lane mask: which positions of this block exist, and are not among the `skip` first of all."""
    first = b.trunc(b.mul(block, v.i64(v.LANES)), v.i32)
    lanes = b.add(v.splat(b, first), ir.Constant(v.v16i32, list(range(v.LANES))))
    exist = b.icmp_signed("<", lanes, v.splat(b, b.trunc(n_positions, v.i32)))
    return b.and_(exist, b.icmp_signed(">=", lanes, v.splat(b, b.trunc(skip, v.i32))))


@intrinsic(prefer_literal=True)
def _scores(
    typingctx, q, table, skip, n_positions, keys, block_bytes, extras, scores, group, head_dim, key_bytes,
    has_softcap, has_sinks,
):  # fmt: skip
    """scores[g, p] = softmax over p of q[g] . k[p], without the division; returns nothing, sums at the end.

    scores: float32 (group, 16 * blocks) followed by (group,) reciprocals of the sums.
    """
    n_group, n_dim, width = group.literal_value, head_dim.literal_value, key_bytes.literal_value
    is_capped, is_sunk = bool(has_softcap.literal_value), bool(has_sinks.literal_value)

    def codegen(context: Any, b: v.Builder, signature: Any, args: Any) -> Any:
        q, table, skip, n_positions, keys, block_bytes, extras, scores = args[:8]
        n_blocks = b.lshr(b.add(n_positions, v.i64(v.LANES - 1)), v.i64(4))
        row_bytes = b.mul(n_blocks, v.i64(64))
        rows = [b.add(scores, b.mul(row_bytes, v.i64(g))) for g in range(n_group)]
        lowest, zero = v.constant(v.v16f32, -3.0e38), v.constant(v.v16f32, 0.0)
        tops = [cgutils.alloca_once(b, v.v16f32) for _ in rows]
        accs = [cgutils.alloca_once(b, v.v16f32) for _ in rows]
        for top in tops:
            b.store(lowest, top)
        with cgutils.for_range(b, n_blocks) as loop:
            base = _block_base(b, keys, table, loop.index, block_bytes)
            coming = _block_base(b, keys, table, b.add(loop.index, v.i64(1)), block_bytes)
            for acc in accs:
                b.store(zero, acc)
            with cgutils.for_range(b, v.i64(n_dim)) as dims:
                offset = b.mul(dims.index, v.i64(v.LANES * width))
                key_at = b.add(base, offset)
                v.prefetch(b, b.add(coming, offset))
                if width == 4:
                    key = v.load(b, key_at, 0, v.v16f32)
                else:
                    key = v.half_to_float(b, v.load(b, key_at, 0, v.v16f16))
                q_at = b.add(q, b.mul(dims.index, v.i64(4)))
                for g, acc in enumerate(accs):
                    query = v.splat(b, v.load(b, q_at, 4 * n_dim * g, v.f32))
                    b.store(v.fma(b, query, key, b.load(acc)), acc)
            exists = _lanes_seen(b, skip, n_positions, loop.index)
            for row, acc, top in zip(rows, accs, tops, strict=True):
                score = b.load(acc)
                if is_capped:
                    score = emit_softcap(b, score, v.splat(b, v.load(b, extras, 0, v.f32)))
                score = b.select(exists, score, lowest)
                v.store(b, score, b.add(row, b.mul(loop.index, v.i64(64))))
                b.store(v.maximum(b, b.load(top), score), top)
        highest = v.reduce_tree(b, [b.load(top) for top in tops], lambda x, y: v.maximum(b, x, y))
        sinks = [v.load(b, extras, 4 + 4 * g, v.f32) for g in range(n_group)] if is_sunk else []
        if is_sunk:
            highest = [
                b.select(b.fcmp_ordered(">", sink, top), sink, top)
                for sink, top in zip(sinks, highest, strict=True)
            ]
        for acc in accs:
            b.store(zero, acc)
        with cgutils.for_range(b, n_blocks) as loop:
            exists = _lanes_seen(b, skip, n_positions, loop.index)
            for row, acc, top in zip(rows, accs, highest, strict=True):
                at = b.add(row, b.mul(loop.index, v.i64(64)))
                weight = v.exp(b, b.fsub(v.load(b, at, 0, v.v16f32), v.splat(b, top)))
                weight = b.select(exists, weight, zero)
                v.store(b, weight, at)
                b.store(b.fadd(b.load(acc), weight), acc)
        sums = v.reduce_tree(b, [b.load(acc) for acc in accs], b.fadd)
        end = b.add(scores, b.mul(row_bytes, v.i64(n_group)))
        for g, total in enumerate(sums):
            if is_sunk:
                weight = v.exp(b, v.splat(b, b.fsub(sinks[g], highest[g])))
                total = b.fadd(total, b.extract_element(weight, v.i32(0)))
            v.store(b, b.fdiv(v.f32(1.0), total), end, 4 * g)
        return context.get_dummy_value()

    signature = types.void(
        q, table, skip, n_positions, keys, block_bytes, extras, scores, group, head_dim, key_bytes,
        has_softcap, has_sinks,
    )  # fmt: skip
    return signature, codegen


@intrinsic(prefer_literal=True)
def _weighted_values(typingctx, table, n_positions, values, block_bytes, scores, out, group, head_dim):
    """out[g] = sum over p of scores[g, p] * v[p] / the scores' sum. out: float32 (group, head_dim)."""
    n_group, n_dim = group.literal_value, head_dim.literal_value
    step = max(1, min(n_dim // v.LANES, ACCUMULATORS // n_group))  # vectors of one head at a time

    def codegen(context: Any, b: v.Builder, signature: Any, args: Any) -> Any:
        table, n_positions, values, block_bytes, scores, out = args[:6]
        n_blocks = b.lshr(b.add(n_positions, v.i64(v.LANES - 1)), v.i64(4))
        row_bytes = b.mul(n_blocks, v.i64(64))
        end = b.add(scores, b.mul(row_bytes, v.i64(n_group)))
        for first in range(0, n_dim // v.LANES, step):
            columns = range(first, min(first + step, n_dim // v.LANES))
            accs = {(g, c): cgutils.alloca_once(b, v.v16f32) for g in range(n_group) for c in columns}
            for acc in accs.values():
                b.store(v.constant(v.v16f32, 0.0), acc)
            with cgutils.for_range(b, n_blocks) as loop:
                base = _block_base(b, values, table, loop.index, block_bytes)
                coming = _block_base(b, values, table, b.add(loop.index, v.i64(1)), block_bytes)
                start = b.mul(loop.index, v.i64(v.LANES))
                left = b.sub(n_positions, start)
                count = b.select(b.icmp_signed("<", left, v.i64(v.LANES)), left, v.i64(v.LANES))
                with cgutils.for_range(b, count) as inner:
                    offset = b.mul(inner.index, v.i64(2 * n_dim))
                    at = b.add(base, offset)
                    for line in range(0, 2 * n_dim, 64):
                        v.prefetch(b, b.add(coming, b.add(offset, v.i64(line))))
                    score_at = b.add(scores, b.mul(b.add(start, inner.index), v.i64(4)))
                    weights = [
                        v.splat(b, v.load(b, b.add(score_at, b.mul(row_bytes, v.i64(g))), 0, v.f32))
                        for g in range(n_group)
                    ]
                    for c in columns:
                        value = v.half_to_float(b, v.load(b, at, 32 * c, v.v16f16))
                        for g in range(n_group):
                            acc = accs[g, c]
                            b.store(v.fma(b, weights[g], value, b.load(acc)), acc)
            for (g, c), acc in accs.items():
                scale = v.splat(b, v.load(b, end, 4 * g, v.f32))
                v.store(b, b.fmul(b.load(acc), scale), out, 4 * n_dim * g + 64 * c)
        return context.get_dummy_value()

    return types.void(table, n_positions, values, block_bytes, scores, out, group, head_dim), codegen


def attention_scratch_floats(group: int, n_positions: int) -> int:
    """How many float32 of scratch one call needs."""
    return group * (-(-n_positions // BLOCK_POSITIONS) * BLOCK_POSITIONS + 1)


def compile_attention(
    group: int, head_dim: int, key_bytes: int, has_softcap: bool = False, has_sinks: bool = False
) -> Any:
    """Return the C function for `group` query heads of `head_dim` dimensions that share a KV head.

    key_bytes: 2 for float16 keys, 4 for float32. has_softcap: scores s become c * tanh(s / c) (Gemma 2);
    has_sinks: each head has a logit more in its softmax, which takes no value (gpt-oss).

    (q, table, skip, n_positions, keys, values, block_bytes, extras, scratch, out), all int64: q and out are
    float32 (group, head_dim), q already scaled; table: int32 block numbers of the sequence, and one entry
    more (of any value: it is only prefetched); skip: how many of the first positions, fewer than 16, are not
    seen; keys, values: where block 0 has this layer's and head's keys and values; block_bytes: from one block
    to the next; extras: float32 c, then each head's sink; scratch: float32, see `attention_scratch_floats`.
    The machine code is cached on disk.
    """
    stamp, is_capped, is_sunk = SOURCE_STAMP, int(has_softcap), int(has_sinks)

    def attend(q, table, skip, n_positions, keys, values, block_bytes, extras, scratch, out):
        _ = stamp
        _scores(
            q, table, skip, n_positions, keys, block_bytes, extras, scratch, group, head_dim, key_bytes,
            is_capped, is_sunk,
        )  # fmt: skip
        _weighted_values(table, n_positions, values, block_bytes, scratch, out, group, head_dim)

    return cfunc(ATTENTION_SIGNATURE, cache=True)(attend)
