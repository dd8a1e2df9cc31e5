"""Matrix products over a GGUF file's own weight blocks.

One arithmetic for everything: y[n, r] = sum over lanes of acc, where the 16 lanes of `acc` run over the
columns in steps of 16 with one fused multiply-add each, and the lanes are summed as a fixed tree. Each
(n, r) has its own accumulator, so a token's result has the same bits whatever else is in the batch, in
prefill and in decode. The batch size only decides where the decoded weights live: for a few tokens they
never leave the registers, for many they are decoded once into a small tile.
"""

from typing import Any

from numba import cfunc, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from wse_backend.kernels import vectors as v
from wse_backend.kernels.blocks import FORMATS
from wse_backend.kernels.source_stamp import SOURCE_STAMP

TILE_ROWS = 16  # weight rows decoded at a time for a large batch; 16 x 4864 float32 fit the L2 cache
FUSED_TOKENS = 6  # up to so many tokens the weights are decoded in registers
GROUP_ROWS, GROUP_TOKENS = 4, 6  # accumulators kept in registers: 24 of 32 (AVX-512)
F32 = 0
# Rows of a few hundred bytes, four at a time, are no stream that a CPU recognises: without prefetching
# the kernels waited for memory two thirds of the time (Q8_0: 6 GB/s per core instead of 21).
PREFETCH_BYTES = 4096


def _literal(typ: Any) -> int:
    value: int = typ.literal_value
    return value


@intrinsic(prefer_literal=True)
def _dot(typingctx, w, row_bytes, n_blocks, x, x_stride, y, y_stride, qtype, rows, tokens):
    """y[n, r] for `rows` weight rows and `tokens` input rows (both literal); strides in bytes."""
    fmt, n_rows, n_tokens = FORMATS[_literal(qtype)], _literal(rows), _literal(tokens)
    is_from_memory = _literal(qtype) != F32  # float32 tiles were just written and are in a cache

    def codegen(context: Any, b: v.Builder, signature: Any, args: Any) -> Any:
        w, row_bytes, n_blocks, x, x_stride, y, y_stride = args[:7]
        w_rows = [b.add(w, b.mul(row_bytes, v.i64(r))) for r in range(n_rows)]
        x_rows = [b.add(x, b.mul(x_stride, v.i64(n))) for n in range(n_tokens)]
        group_bytes = b.mul(row_bytes, v.i64(n_rows))
        ahead = b.mul(group_bytes, b.add(b.udiv(v.i64(PREFETCH_BYTES), group_bytes), v.i64(1)))
        zero = v.constant(v.v16f32, 0.0)
        accs = [cgutils.alloca_once_value(b, zero) for _ in range(n_rows * n_tokens)]
        for acc in accs:
            b.store(zero, acc)
        with cgutils.for_range(b, n_blocks) as loop:
            w_offset = b.mul(loop.index, v.i64(fmt.size_bytes))
            x_offset = b.mul(loop.index, v.i64(fmt.values * 4))
            weights = [fmt.emit(b, b.add(row, w_offset)) for row in w_rows]
            if is_from_memory:
                for row in w_rows:
                    coming = b.add(b.add(row, w_offset), ahead)
                    for line in range(0, fmt.size_bytes, 64):
                        v.prefetch(b, v.at(b, coming, line))
            x_bases = [b.add(row, x_offset) for row in x_rows]
            for step in range(fmt.values // v.LANES):
                xs = [v.load(b, base, 64 * step, v.v16f32) for base in x_bases]
                for r in range(n_rows):
                    weight = next(weights[r])
                    for n in range(n_tokens):
                        acc = accs[r * n_tokens + n]
                        b.store(v.fma(b, weight, xs[n], b.load(acc)), acc)
        sums = v.reduce_tree(b, [b.load(acc) for acc in accs], b.fadd)
        for n in range(n_tokens):
            base = b.add(y, b.mul(y_stride, v.i64(n)))
            for r in range(n_rows):
                v.store(b, sums[r * n_tokens + n], base, 4 * r)
        return context.get_dummy_value()

    return types.void(w, row_bytes, n_blocks, x, x_stride, y, y_stride, qtype, rows, tokens), codegen


@intrinsic(prefer_literal=True)
def _decode(typingctx, w, n_blocks, y, qtype):
    """Write the float32 values of `n_blocks` blocks at address `w` to address `y`."""
    fmt = FORMATS[_literal(qtype)]

    def codegen(context: Any, b: v.Builder, signature: Any, args: Any) -> Any:
        w, n_blocks, y = args[:3]
        with cgutils.for_range(b, n_blocks) as loop:
            source = b.add(w, b.mul(loop.index, v.i64(fmt.size_bytes)))
            target = b.add(y, b.mul(loop.index, v.i64(fmt.values * 4)))
            for step, weight in enumerate(fmt.emit(b, source)):
                v.store(b, weight, target, 64 * step)
        return context.get_dummy_value()

    return types.void(w, n_blocks, y, qtype), codegen


@njit(error_model="numpy")
def _tile_dot(w, n_cols, n_rows, x, x_stride, n, y, y_stride):
    """y[n, r] for a tile of float32 weight rows, in groups that keep their accumulators in registers."""
    row_bytes, n_blocks = n_cols * 4, n_cols // 32
    whole = n_rows - n_rows % GROUP_ROWS
    for t in range(0, n, GROUP_TOKENS):
        tokens = min(GROUP_TOKENS, n - t)
        xt, yt = x + t * x_stride, y + t * y_stride
        for r in range(0, whole, GROUP_ROWS):
            wr, yr = w + r * row_bytes, yt + 4 * r
            if tokens == 6:
                _dot(wr, row_bytes, n_blocks, xt, x_stride, yr, y_stride, F32, 4, 6)
            elif tokens == 5:
                _dot(wr, row_bytes, n_blocks, xt, x_stride, yr, y_stride, F32, 4, 5)
            elif tokens == 4:
                _dot(wr, row_bytes, n_blocks, xt, x_stride, yr, y_stride, F32, 4, 4)
            elif tokens == 3:
                _dot(wr, row_bytes, n_blocks, xt, x_stride, yr, y_stride, F32, 4, 3)
            elif tokens == 2:
                _dot(wr, row_bytes, n_blocks, xt, x_stride, yr, y_stride, F32, 4, 2)
            else:
                _dot(wr, row_bytes, n_blocks, xt, x_stride, yr, y_stride, F32, 4, 1)
        for r in range(whole, n_rows):
            for i in range(tokens):
                _dot(w + r * row_bytes, row_bytes, n_blocks, xt + i * x_stride, x_stride,
                     yt + i * y_stride + 4 * r, y_stride, F32, 1, 1)  # fmt: skip


MATMUL_SIGNATURE = types.void(*[types.int64] * 11)
DECODE_SIGNATURE = types.void(*[types.int64] * 3)


def compile_matmul(qtype: int) -> Any:
    """Return the C function that multiplies by weights of ggml type `qtype`.

    (w, row_bytes, n_blocks, row_start, row_stop, x, x_stride, n, y, y_stride, scratch), all int64:
    y[i, r] = x[i] . w[r] for i < n, row_start <= r < row_stop. Addresses and strides are in bytes;
    scratch holds TILE_ROWS x columns float32. The machine code is cached on disk.
    """
    values, stamp = FORMATS[qtype].values, SOURCE_STAMP

    def matmul(w, row_bytes, n_blocks, row_start, row_stop, x, x_stride, n, y, y_stride, scratch):
        _ = stamp  # part of the disk cache's key: the emitters live in other files
        n_cols = n_blocks * values
        whole = row_stop - (row_stop - row_start) % GROUP_ROWS
        if n <= FUSED_TOKENS:
            for r in range(row_start, whole, GROUP_ROWS):
                wr, yr = w + r * row_bytes, y + 4 * r
                if n == 1:
                    _dot(wr, row_bytes, n_blocks, x, x_stride, yr, y_stride, qtype, 4, 1)
                elif n == 2:
                    _dot(wr, row_bytes, n_blocks, x, x_stride, yr, y_stride, qtype, 4, 2)
                elif n == 3:
                    _dot(wr, row_bytes, n_blocks, x, x_stride, yr, y_stride, qtype, 4, 3)
                elif n == 4:
                    _dot(wr, row_bytes, n_blocks, x, x_stride, yr, y_stride, qtype, 4, 4)
                elif n == 5:
                    _dot(wr, row_bytes, n_blocks, x, x_stride, yr, y_stride, qtype, 4, 5)
                else:
                    _dot(wr, row_bytes, n_blocks, x, x_stride, yr, y_stride, qtype, 4, 6)
            row_start = whole
        for tile in range(row_start, row_stop, TILE_ROWS):
            rows = min(TILE_ROWS, row_stop - tile)
            for r in range(rows):
                _decode(w + (tile + r) * row_bytes, n_blocks, scratch + r * n_cols * 4, qtype)
            _tile_dot(scratch, n_cols, rows, x, x_stride, n, y + 4 * tile, y_stride)

    return cfunc(MATMUL_SIGNATURE, cache=True, error_model="numpy")(matmul)


def compile_decode(qtype: int) -> Any:
    """Return the C function (w, n_blocks, y) that writes blocks of `qtype` at `w` as float32 to `y`."""
    stamp = SOURCE_STAMP

    def decode(w, n_blocks, y):
        _ = stamp
        _decode(w, n_blocks, y, qtype)

    return cfunc(DECODE_SIGNATURE, cache=True)(decode)


__all__ = ["FUSED_TOKENS", "TILE_ROWS", "compile_decode", "compile_matmul"]
