"""Matrix products over a GGUF file's own weight blocks.

One arithmetic for everything: y[n, r] = sum over lanes of acc, where the 16 lanes of `acc` run over the
columns in steps of 16 with one fused multiply-add each, and the lanes are summed as a fixed tree. Each
(n, r) has its own accumulator, so a token's result has the same bits whatever else is in the batch, in
prefill and in decode. The batch size only decides where the decoded weights live: for a few tokens they
never leave the registers, for many they are decoded once into a small tile. Sums that wait in memory for
the next segment of their columns wait as all 16 lanes, which changes no bit.
"""

from typing import Any, NamedTuple

from llvmlite import ir
from numba import cfunc, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from wse_backend.engine.kernels import vectors as v
from wse_backend.engine.kernels.blocks import FORMATS
from wse_backend.engine.kernels.source_stamp import SOURCE_STAMP

# Up to so many tokens the weights are decoded in registers: of four rows at a time for three tokens or less
# (which take 12 accumulators), of two for more.
FUSED_TOKENS = 8
# Beyond, they are decoded into a tile first. For some tokens its rows are just those of one group, which
# stay in the L1 cache; for many, they are as many as fit the L2 cache: the inputs are read once per tile.
SMALL_TILE_TOKENS = 32
TILE_ROWS, TILE_BYTES = 144, 640 << 10
GROUP_ROWS, GROUP_TOKENS = 4, 6  # accumulators kept in registers: 24 of 32 (AVX-512)
SEGMENT_COLUMNS = 1024  # 6 x 1024 float32 inputs and what passes by of 4 weight rows fit a 48 KB L1 cache
PARTIAL_FLOATS = TILE_ROWS * GROUP_TOKENS * v.LANES  # sums of one group of tokens between two segments
F32 = 0
# Rows of a few hundred bytes, four at a time, are no stream that a CPU recognises: without prefetching
# the kernels waited for memory two thirds of the time (Q8_0: 6 GB/s per core instead of 21).
PREFETCH_BYTES = 4096


class _Rows(NamedTuple):
    """A known number of rows in memory: the address of the first, and the bytes from one to the next."""

    base: Any
    stride: Any
    number: int

    def addresses(self, b: v.Builder) -> list[Any]:
        return [b.add(self.base, b.mul(self.stride, v.i64(row))) for row in range(self.number)]


def _literal(typ: Any) -> int:
    value: int = typ.literal_value
    return value


def _emit_products(b: v.Builder, fmt: Any, weights: _Rows, xs: _Rows, n_blocks: Any, accs: list[Any]) -> None:
    """accs[n, r] += w[r] . x[n] over `n_blocks` blocks, lane by lane; accs are stack slots."""
    is_from_memory = fmt is not FORMATS[F32]  # float32 tiles were just written and are in a cache
    w_rows, x_rows = weights.addresses(b), xs.addresses(b)
    group_bytes = b.mul(weights.stride, v.i64(weights.number))
    ahead = b.mul(group_bytes, b.add(b.udiv(v.i64(PREFETCH_BYTES), group_bytes), v.i64(1)))
    with cgutils.for_range(b, n_blocks) as loop:
        w_offset = b.mul(loop.index, v.i64(fmt.size_bytes))
        x_offset = b.mul(loop.index, v.i64(fmt.values * 4))
        blocks = [fmt.emit(b, b.add(row, w_offset)) for row in w_rows]
        if is_from_memory:
            for row in w_rows:
                coming = b.add(b.add(row, w_offset), ahead)
                for line in range(0, fmt.size_bytes, 64):
                    v.prefetch(b, v.at(b, coming, line))
        x_bases = [b.add(row, x_offset) for row in x_rows]
        # A small block is decoded at once, row after row: a part of each row in turn takes more registers.
        together = 2 if is_from_memory and fmt.values == 32 else 1
        for first in range(0, fmt.values // v.LANES, together):
            for r, block in enumerate(blocks):
                for step in range(first, first + together):
                    weight = next(block)
                    for n, base in enumerate(x_bases):
                        acc = accs[n * weights.number + r]
                        b.store(v.fma(b, weight, v.load(b, base, 64 * step, v.v16f32), b.load(acc)), acc)


def _emit_sums(b: v.Builder, accs: list[Any], n_rows: int, ys: _Rows) -> None:
    """y[n, r] = the sum of the lanes of accs[n, r]; a token's neighbouring rows are stored together."""
    sums = v.reduce_tree(b, [b.load(acc) for acc in accs], b.fadd)
    for n, base in enumerate(ys.addresses(b)):
        part = ir.Constant(ir.VectorType(v.f32, n_rows), ir.Undefined)
        for r, total in enumerate(sums[n * n_rows : (n + 1) * n_rows]):
            part = b.insert_element(part, total, v.i32(r))
        v.store(b, part, base)


@intrinsic(prefer_literal=True)
def _dot(
    typingctx, w, row_bytes, n_blocks, x, x_stride, y, y_stride, sums, is_first, is_last, qtype, rows, tokens
):
    """y[n, r] for `rows` weight rows and `tokens` input rows (both literal); strides in bytes.

    Over a segment of the columns: the lanes' sums of earlier ones come from `sums` and go there again,
    unless it is the first, or the last.
    """
    fmt, n_rows, n_tokens = FORMATS[_literal(qtype)], _literal(rows), _literal(tokens)

    def codegen(context: Any, b: v.Builder, signature: Any, args: Any) -> Any:
        w, row_bytes, n_blocks, x, x_stride, y, y_stride, sums, is_first, is_last = args[:10]
        accs = [cgutils.alloca_once(b, v.v16f32) for _ in range(n_rows * n_tokens)]
        with b.if_else(is_first) as (then, otherwise):
            with then:
                for acc in accs:
                    b.store(v.constant(v.v16f32, 0.0), acc)
            with otherwise:
                for index, acc in enumerate(accs):
                    b.store(v.load(b, sums, 64 * index, v.v16f32), acc)
        weights, xs = _Rows(w, row_bytes, n_rows), _Rows(x, x_stride, n_tokens)
        _emit_products(b, fmt, weights, xs, n_blocks, accs)
        with b.if_else(is_last) as (then, otherwise):
            with then:
                _emit_sums(b, accs, n_rows, _Rows(y, y_stride, n_tokens))
            with otherwise:
                for index, acc in enumerate(accs):
                    v.store(b, b.load(acc), sums, 64 * index)
        return context.get_dummy_value()

    signature = types.void(
        w, row_bytes, n_blocks, x, x_stride, y, y_stride, sums, is_first, is_last, qtype, rows, tokens
    )
    return signature, codegen


@intrinsic(prefer_literal=True)
def _decode(typingctx, w, n_blocks, y, qtype):
    """Write the float32 values of `n_blocks` blocks at address `w` to address `y`."""
    fmt = FORMATS[_literal(qtype)]

    def codegen(context: Any, b: v.Builder, signature: Any, args: Any) -> Any:
        w, n_blocks, y = args[:3]
        with cgutils.for_range(b, n_blocks) as loop:
            source = b.add(w, b.mul(loop.index, v.i64(fmt.size_bytes)))
            target = b.add(y, b.mul(loop.index, v.i64(fmt.values * 4)))
            for line in range(0, fmt.size_bytes, 64):
                v.prefetch(b, v.at(b, source, PREFETCH_BYTES + line))
            for step, weight in enumerate(fmt.emit(b, source)):
                v.store(b, weight, target, 64 * step)
        return context.get_dummy_value()

    return types.void(w, n_blocks, y, qtype), codegen


@njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)
def _tile_dot(w, n_cols, n_rows, x, x_stride, n, y, y_stride, partial):
    """y[n, r] for a tile of float32 weight rows, in groups that keep their accumulators in registers.

    Wide rows are taken in segments, so that a group's inputs stay in the L1 cache for all rows of the tile.
    """
    stride, n_blocks = n_cols * 4, n_cols // 32
    n_segments = (n_cols + SEGMENT_COLUMNS - 1) // SEGMENT_COLUMNS
    segment = (n_blocks + n_segments - 1) // n_segments
    whole = n_rows - n_rows % GROUP_ROWS
    n_groups = (n + GROUP_TOKENS - 1) // GROUP_TOKENS
    for group in range(n_groups):
        t = n * group // n_groups  # groups of nearly the same size
        tokens = n * (group + 1) // n_groups - t
        xt, yt = x + t * x_stride, y + t * y_stride
        for start in range(0, n_blocks, segment):
            blocks = min(segment, n_blocks - start)
            first, last = start == 0, start + blocks == n_blocks
            for r in range(0, whole, GROUP_ROWS):
                ws, xs, yr = w + r * stride + start * 128, xt + start * 128, yt + 4 * r
                sums = partial + r * GROUP_TOKENS * 64
                if tokens == 6:
                    _dot(ws, stride, blocks, xs, x_stride, yr, y_stride, sums, first, last, F32, 4, 6)
                elif tokens == 5:
                    _dot(ws, stride, blocks, xs, x_stride, yr, y_stride, sums, first, last, F32, 4, 5)
                elif tokens == 4:
                    _dot(ws, stride, blocks, xs, x_stride, yr, y_stride, sums, first, last, F32, 4, 4)
                elif tokens == 3:
                    _dot(ws, stride, blocks, xs, x_stride, yr, y_stride, sums, first, last, F32, 4, 3)
                elif tokens == 2:
                    _dot(ws, stride, blocks, xs, x_stride, yr, y_stride, sums, first, last, F32, 4, 2)
                else:
                    _dot(ws, stride, blocks, xs, x_stride, yr, y_stride, sums, first, last, F32, 4, 1)
        for r in range(whole, n_rows):
            for i in range(tokens):
                _dot(w + r * stride, stride, n_blocks, xt + i * x_stride, x_stride,
                     yt + i * y_stride + 4 * r, y_stride, partial, True, True, F32, 1, 1)  # fmt: skip


MATMUL_SIGNATURE = types.void(*[types.int64] * 11)
DECODE_SIGNATURE = types.void(*[types.int64] * 3)


def matmul_scratch_floats(n_cols: int) -> int:
    """How many float32 of scratch one call needs for rows of `n_cols` weights."""
    return PARTIAL_FLOATS + max(TILE_BYTES // 4, GROUP_ROWS * n_cols)


def compile_matmul(qtype: int) -> Any:
    """Return the C function that multiplies by weights of ggml type `qtype`.

    (w, row_bytes, n_blocks, row_start, row_stop, x, x_stride, n, y, y_stride, scratch), all int64:
    y[i, r] = x[i] . w[r] for i < n, row_start <= r < row_stop. Addresses and strides are in bytes;
    scratch: float32, see `matmul_scratch_floats`. The machine code is cached on disk.
    """
    values, stamp = FORMATS[qtype].values, SOURCE_STAMP
    fourth = 4 if values == 32 else 2  # rows at a time for four tokens: large blocks need more registers

    def matmul(w, row_bytes, n_blocks, row_start, row_stop, x, x_stride, n, y, y_stride, scratch):
        _ = stamp  # part of the disk cache's key: the emitters live in other files
        n_cols, decoded = n_blocks * values, scratch + PARTIAL_FLOATS * 4
        if n <= FUSED_TOKENS:
            together = 4 if n <= 3 else fourth if n == 4 else 2
            whole = row_stop - (row_stop - row_start) % together
            for r in range(row_start, whole, together):
                wr, yr = w + r * row_bytes, y + 4 * r
                if n == 1:
                    _dot(wr, row_bytes, n_blocks, x, x_stride, yr, y_stride, 0, True, True, qtype, 4, 1)
                elif n == 2:
                    _dot(wr, row_bytes, n_blocks, x, x_stride, yr, y_stride, 0, True, True, qtype, 4, 2)
                elif n == 3:
                    _dot(wr, row_bytes, n_blocks, x, x_stride, yr, y_stride, 0, True, True, qtype, 4, 3)
                elif n == 4:
                    _dot(wr, row_bytes, n_blocks, x, x_stride, yr, y_stride, 0, True, True, qtype, fourth, 4)
                elif n == 5:
                    _dot(wr, row_bytes, n_blocks, x, x_stride, yr, y_stride, 0, True, True, qtype, 2, 5)
                elif n == 6:
                    _dot(wr, row_bytes, n_blocks, x, x_stride, yr, y_stride, 0, True, True, qtype, 2, 6)
                elif n == 7:
                    _dot(wr, row_bytes, n_blocks, x, x_stride, yr, y_stride, 0, True, True, qtype, 2, 7)
                else:
                    _dot(wr, row_bytes, n_blocks, x, x_stride, yr, y_stride, 0, True, True, qtype, 2, 8)
            row_start = whole
        tile_rows = GROUP_ROWS
        if n > SMALL_TILE_TOKENS:
            tile_rows = max(GROUP_ROWS, min(TILE_ROWS, TILE_BYTES // (n_cols * 4) // GROUP_ROWS * GROUP_ROWS))
        for tile in range(row_start, row_stop, tile_rows):
            rows = min(tile_rows, row_stop - tile)
            for r in range(rows):
                _decode(w + (tile + r) * row_bytes, n_blocks, decoded + r * n_cols * 4, qtype)
            _tile_dot(decoded, n_cols, rows, x, x_stride, n, y + 4 * tile, y_stride, scratch)

    return cfunc(MATMUL_SIGNATURE, cache=True, error_model="numpy")(matmul)


def compile_decode(qtype: int) -> Any:
    """Return the C function (w, n_blocks, y) that writes blocks of `qtype` at `w` as float32 to `y`."""
    stamp = SOURCE_STAMP

    def decode(w, n_blocks, y):
        _ = stamp
        _decode(w, n_blocks, y, qtype)

    return cfunc(DECODE_SIGNATURE, cache=True)(decode)


__all__ = ["FUSED_TOKENS", "compile_decode", "compile_matmul", "matmul_scratch_floats"]
