"""Matrix products in integers: y[t, r] = x[t] . w[r] over regrouped weights.

Per unit of 32 columns: the products of weights and activations, both integers, are summed in int32, which
is exact in any order; the sum becomes float32, is scaled by weight scale x activation scale, and added to the
row's accumulator with one rounding, unit after unit. So a token's result has the same bits whatever else is
in the batch, in prefill and in decode, and on every processor: how wide its registers are and how it
multiplies (bytes with AVX-512 VNNI, pairs of int16 otherwise) does not show.

    acc = scale_w * scale_x * sum(w * q) + acc          and, for formats with an offset,
    acc = offset_w * (scale_x * sum(q)) + acc

Weights of a unit are unpacked once for all tokens at hand and stay in registers; accumulators of more than
one token wait in a cache line each. Weights that are floats are multiplied as such, column after column.
"""

from typing import Any

from numba import cfunc, types
from numba.core import cgutils
from numba.extending import intrinsic

from wse_backend.engine.kernels import vectors as v
from wse_backend.engine.kernels.activations import (
    BLOCK_BYTES,
    MINUS_FIRST_AT,
    MINUS_SUM_AT,
    SCALE_AT,
    SCALED_SUM_AT,
    dot,
    prepare_planes,
)
from wse_backend.engine.kernels.formats import FORMATS, ROWS, UNIT, WeightFormat, load_planes, load_scales
from wse_backend.engine.kernels.source_stamp import SOURCE_STAMP

FEW_TOKENS = 16  # up to so many, a group's weights are read from memory once for all tokens
TOGETHER = 16  # tokens whose accumulators and activations stay near while weights pass by
FLOAT_TOKENS = 4  # the same where weights are floats, in registers
ACC_BYTES = 4 * ROWS
# Sixteen rows of a unit are a stream of a few hundred bytes; asked for early, memory is never waited for.
PREFETCH_BYTES = 2048

MATMUL_SIGNATURE = types.void(*[types.int64] * 11)


class _Unit:
    """Weights of 16 rows x 32 columns, unpacked: what every token is multiplied by."""

    def __init__(self, b: v.Builder, fmt: WeightFormat, block: Any, unit: Any) -> None:
        self._b, self._fmt = b, fmt
        planes = load_planes(b, fmt, v.at(b, unit, fmt.scales_bytes))
        per_step = len(planes) // fmt.steps
        self._parts = [
            (step * per_step, prepare_planes(b, planes[step * per_step : (step + 1) * per_step]))
            for step in range(fmt.steps)
        ]
        self._scales = load_scales(b, fmt, block, unit)

    def add_products(self, record: Any, acc: Any) -> Any:
        """`acc` (16 rows) and this unit's products with a token's block of activations."""
        b = self._b
        scale = v.splat(b, v.load(b, record, SCALE_AT, v.f32))
        for step, ((first, prepared), (weight_scale, offset)) in enumerate(
            zip(self._parts, self._scales, strict=True)
        ):
            total = dot(b, prepared, first, record, self._start(record, step))
            acc = v.fma(b, b.sitofp(total, v.v16f32), b.fmul(weight_scale, scale), acc)
            if offset is not None:
                acc = v.fma(b, offset, v.splat(b, self._scaled_sum(record, step)), acc)
        return acc

    def _scaled_sum(self, record: Any, step: int) -> Any:
        """What an offset is multiplied by: the sum of the step's activations."""
        b = self._b
        if self._fmt.steps == 1:
            return v.load(b, record, SCALED_SUM_AT, v.f32)
        minus = v.load(b, record, MINUS_FIRST_AT, v.i32)
        if step:
            minus = b.sub(v.load(b, record, MINUS_SUM_AT, v.i32), minus)
        return b.fmul(b.sitofp(b.neg(minus), v.f32), v.load(b, record, SCALE_AT, v.f32))

    def _start(self, record: Any, step: int) -> Any:
        """-zero x (sum of the step's q): weights are stored `zero` too large."""
        b, fmt = self._b, self._fmt
        if not fmt.zero:
            return v.constant(v.v16i32, 0)
        minus = v.load(b, record, MINUS_SUM_AT, v.i32)
        if fmt.steps == 2:
            first = v.load(b, record, MINUS_FIRST_AT, v.i32)
            minus = b.sub(minus, first) if step else first
        return b.shl(v.splat(b, minus), v.constant(v.v16i32, fmt.zero.bit_length() - 1))


def _for_units(b: v.Builder, fmt: WeightFormat, group: Any, n_blocks: Any, job: Any) -> None:
    """Emit job(unit, offset of its block in a record) for the units of a group, in the columns' order."""
    n_units = fmt.values // UNIT
    with cgutils.for_range(b, n_blocks) as blocks:
        block = b.add(group, b.mul(blocks.index, v.i64(fmt.group_block_bytes)))
        with cgutils.for_range(b, v.i64(n_units)) as units:
            unit = b.add(v.at(b, block, fmt.head_bytes), b.mul(units.index, v.i64(fmt.unit_bytes)))
            for line in range(0, fmt.group_block_bytes // n_units + 63, 64):
                v.prefetch(b, v.at(b, unit, PREFETCH_BYTES + line))
            index = b.add(b.mul(blocks.index, v.i64(n_units)), units.index)
            job(_Unit(b, fmt, block, unit), b.mul(index, v.i64(BLOCK_BYTES)))


@intrinsic(prefer_literal=True)
def _one_token(typingctx, group, n_blocks, record, y, qtype):
    """The products of 16 rows with one token, written to `y`: float32 (16,)."""
    fmt = FORMATS[qtype.literal_value]

    def codegen(context: Any, b: v.Builder, signature: Any, args: Any) -> Any:
        group, n_blocks, record, y = args[:4]
        acc = cgutils.alloca_once_value(b, v.constant(v.v16f32, 0.0))

        def job(unit: _Unit, at: Any) -> None:
            b.store(unit.add_products(b.add(record, at), b.load(acc)), acc)

        _for_units(b, fmt, group, n_blocks, job)
        v.store(b, b.load(acc), y)
        return context.get_dummy_value()

    return types.void(group, n_blocks, record, y, qtype), codegen


@intrinsic(prefer_literal=True)
def _some_tokens(typingctx, group, n_blocks, records, record_bytes, n, y, y_stride, accs, qtype):
    """The same for `n` tokens. accs: n x 64 bytes of scratch."""
    fmt = FORMATS[qtype.literal_value]

    def codegen(context: Any, b: v.Builder, signature: Any, args: Any) -> Any:
        group, n_blocks, records, record_bytes, n, y, y_stride, accs = args[:8]

        def tokens() -> Any:
            return cgutils.for_range(b, n)

        def acc_at(token: Any) -> Any:
            return b.add(accs, b.shl(token, v.i64(ACC_BYTES.bit_length() - 1)))

        with tokens() as loop:
            v.store(b, v.constant(v.v16f32, 0.0), acc_at(loop.index))

        def job(unit: _Unit, at: Any) -> None:
            with tokens() as loop:
                record = b.add(b.add(records, b.mul(loop.index, record_bytes)), at)
                acc = acc_at(loop.index)
                v.store(b, unit.add_products(record, v.load(b, acc, 0, v.v16f32)), acc)

        _for_units(b, fmt, group, n_blocks, job)
        with tokens() as loop:
            total = v.load(b, acc_at(loop.index), 0, v.v16f32)
            v.store(b, total, b.add(y, b.mul(loop.index, y_stride)))
        return context.get_dummy_value()

    return types.void(group, n_blocks, records, record_bytes, n, y, y_stride, accs, qtype), codegen


@intrinsic(prefer_literal=True)
def _float_tokens(typingctx, group, n_cols, x, x_stride, y, y_stride, qtype, tokens):
    """The products of 16 rows of floats with a literal number of tokens, column after column."""
    fmt, n_tokens = FORMATS[qtype.literal_value], tokens.literal_value

    def codegen(context: Any, b: v.Builder, signature: Any, args: Any) -> Any:
        group, n_cols, x, x_stride, y, y_stride = args[:6]
        accs = [cgutils.alloca_once_value(b, v.constant(v.v16f32, 0.0)) for _ in range(n_tokens)]
        with cgutils.for_range(b, n_cols) as loop:
            at = b.add(group, b.mul(loop.index, v.i64(fmt.group_block_bytes)))
            v.prefetch(b, v.at(b, at, PREFETCH_BYTES))
            is_half = fmt.size_bytes == 2
            weights = v.load(b, at, 0, v.v16f16 if is_half else v.v16f32)
            if is_half:
                weights = v.half_to_float(b, weights)
            for token, acc in enumerate(accs):
                source = b.add(b.add(x, b.mul(x_stride, v.i64(token))), b.shl(loop.index, v.i64(2)))
                value = v.splat(b, v.load(b, source, 0, v.f32))
                b.store(v.fma(b, weights, value, b.load(acc)), acc)
        for token, acc in enumerate(accs):
            v.store(b, b.load(acc), b.add(y, b.mul(y_stride, v.i64(token))))
        return context.get_dummy_value()

    return types.void(group, n_cols, x, x_stride, y, y_stride, qtype, tokens), codegen


@intrinsic
def _copy_floats(typingctx, source, target, n):
    """Copy n float32."""

    def codegen(context: Any, b: v.Builder, signature: Any, args: Any) -> Any:
        source, target, n = args
        with cgutils.for_range(b, n) as loop:
            at = b.shl(loop.index, v.i64(2))
            v.store(b, v.load(b, b.add(source, at), 0, v.f32), b.add(target, at))
        return context.get_dummy_value()

    return types.void(*[types.int64] * 3), codegen


def matmul_scratch_floats() -> int:
    """How many float32 of scratch one call needs: accumulators, and a group's results."""
    return 2 * TOGETHER * ROWS


def compile_matmul(qtype: int) -> Any:
    """Return the C function that multiplies by regrouped weights of ggml type `qtype`.

    (w, group_bytes, n_blocks, row_start, row_stop, x, x_stride, n, y, y_stride, scratch), all int64:
    y[t, r] = x[t] . w[r] for t < n, row_start <= r < row_stop. w: regrouped weights, group_bytes per 16 rows;
    row_start: a multiple of 16. x: records of `activations.quantize`, or float32 rows where weights are
    floats (n_blocks: their columns). Addresses and strides in bytes; scratch: `matmul_scratch_floats`.
    The machine code is cached on disk.
    """
    stamp = SOURCE_STAMP  # part of the disk cache's key: the emitters live in other files

    def matmul(w, group_bytes, n_blocks, row_start, row_stop, x, x_stride, n, y, y_stride, scratch):
        _ = stamp
        accs, spare = scratch, scratch + TOGETHER * ACC_BYTES
        for token in range(0, n, TOGETHER):
            count = min(TOGETHER, n - token)
            xt, yt = x + token * x_stride, y + token * y_stride
            for row in range(row_start, row_stop, ROWS):
                group, yg, rows = w + row // ROWS * group_bytes, yt + 4 * row, row_stop - row
                if rows < ROWS:  # no whole group: its results must not run into what follows them
                    _some_tokens(group, n_blocks, xt, x_stride, count, spare, ACC_BYTES, accs, qtype)
                    for t in range(count):
                        _copy_floats(spare + t * ACC_BYTES, yg + t * y_stride, rows)
                elif count == 1:
                    _one_token(group, n_blocks, xt, yg, qtype)
                else:
                    _some_tokens(group, n_blocks, xt, x_stride, count, yg, y_stride, accs, qtype)

    def matmul_floats(w, group_bytes, n_cols, row_start, row_stop, x, x_stride, n, y, y_stride, scratch):
        _ = stamp
        for token in range(0, n, FLOAT_TOKENS):
            count = min(FLOAT_TOKENS, n - token)
            xt, yt = x + token * x_stride, y + token * y_stride
            for row in range(row_start, row_stop, ROWS):
                group, yg, rows = w + row // ROWS * group_bytes, yt + 4 * row, row_stop - row
                if rows >= ROWS and count == FLOAT_TOKENS:
                    _float_tokens(group, n_cols, xt, x_stride, yg, y_stride, qtype, FLOAT_TOKENS)
                    continue
                for t in range(count):
                    _float_tokens(group, n_cols, xt + t * x_stride, 0, scratch, 0, qtype, 1)
                    _copy_floats(scratch, yg + t * y_stride, min(rows, ROWS))

    is_float = FORMATS[qtype].is_float
    return cfunc(MATMUL_SIGNATURE, cache=True, error_model="numpy")(matmul_floats if is_float else matmul)


__all__ = ["FEW_TOKENS", "compile_matmul", "matmul_scratch_floats"]
