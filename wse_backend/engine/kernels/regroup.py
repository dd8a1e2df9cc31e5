"""Regroup weights for the kernels: 16 rows side by side, every integer and scale as it is in the file.

The layout is in `formats`. Regrouping decides the speed of decode: over the file's own layout the same
arithmetic reads 19 to 21 GB/s, over this one the 30 that memory gives (2 cores of an EPYC, family 25).
"""

from typing import Any

from llvmlite import ir
from numba import cfunc, types
from numba.core import cgutils
from numba.extending import intrinsic

from wse_backend.engine.kernels import vectors as v
from wse_backend.engine.kernels.formats import (
    FORMATS,
    N_PLANES,
    PLANE_BYTES,
    ROWS,
    UNIT,
    Block,
    WeightFormat,
    store_planes,
)
from wse_backend.engine.kernels.source_stamp import SOURCE_STAMP

_HALF_EXPONENT, _FLOAT_EXPONENT = 0x7C00, 0x7F800000
REGROUP_SIGNATURE = types.int64(*[types.int64] * 7)
DECODE_SIGNATURE = types.void(*[types.int64] * 3)


def _note_if_not_finite(b: v.Builder, value: Any, n_bad: Any) -> None:
    """Count a scalar whose exponent is that of infinity and NaN."""
    word = v.i16 if value.type == v.f16 else v.i32
    exponent = word(_HALF_EXPONENT if value.type == v.f16 else _FLOAT_EXPONENT)
    is_bad = b.icmp_unsigned("==", b.and_(b.bitcast(value, word), exponent), exponent)
    b.store(b.add(b.load(n_bad), b.zext(is_bad, v.i64)), n_bad)


def _store_scales(b: v.Builder, fmt: WeightFormat, block: Block, out: Any, row: Any, n_bad: Any) -> None:
    """The scales of one row of a block to their places among those of 16 rows."""
    halves = [block.scale] if block.offset is None else [block.scale, block.offset]
    for place, half in enumerate(halves):
        _note_if_not_finite(b, half, n_bad)
        v.store(b, half, b.add(out, b.shl(row, v.i64(1))), 2 * ROWS * place)
    for place, steps in enumerate((block.scales, block.offsets)):
        for index, value in enumerate(steps):
            unit, step = divmod(index, fmt.steps)
            at = fmt.head_bytes + unit * fmt.unit_bytes + ROWS * (fmt.steps * place + step)
            v.store(b, value, b.add(out, row), at)


@intrinsic(prefer_literal=True)
def _regroup(typingctx, source, row_bytes, n_rows, n_blocks, out, qtype):
    """Regroup `n_rows` (at most 16) rows of blocks; returns how many scales are no finite numbers."""
    fmt = FORMATS[qtype.literal_value]
    read = fmt.read
    assert read is not None

    def codegen(context: Any, b: v.Builder, signature: Any, args: Any) -> Any:
        source, row_bytes, n_rows, n_blocks, out = args[:5]
        n_bad = cgutils.alloca_once_value(b, v.i64(0))
        natural = cgutils.alloca_once(b, ir.ArrayType(v.i8, ROWS * fmt.values))
        columns = cgutils.alloca_once(b, ir.ArrayType(v.i8, N_PLANES * PLANE_BYTES))
        natural_at, columns_at = b.ptrtoint(natural, v.i64), b.ptrtoint(columns, v.i64)
        cgutils.memset(b, natural, v.i64(ROWS * fmt.values), 0)  # rows that do not exist
        with cgutils.for_range(b, n_blocks) as blocks:
            block_at = b.add(source, b.mul(blocks.index, v.i64(fmt.size_bytes)))
            to = b.add(out, b.mul(blocks.index, v.i64(fmt.group_block_bytes)))
            with cgutils.for_range(b, n_rows) as rows:
                block = read(b, b.add(block_at, b.mul(rows.index, row_bytes)))
                row_at = b.add(natural_at, b.mul(rows.index, v.i64(fmt.values)))
                for index, quants in enumerate(block.quants):
                    v.store(b, quants, row_at, 16 * index)
                _store_scales(b, fmt, block, to, rows.index, n_bad)
            with cgutils.for_range(b, v.i64(fmt.values // UNIT)) as units:
                unit_at = b.add(natural_at, b.mul(units.index, v.i64(UNIT)))
                with cgutils.for_range(b, v.i64(ROWS)) as rows:
                    row_at = b.add(unit_at, b.mul(rows.index, v.i64(fmt.values)))
                    plane_at = b.add(columns_at, b.shl(rows.index, v.i64(2)))
                    for k in range(N_PLANES):
                        v.store(b, v.load(b, row_at, 4 * k, v.i32), plane_at, PLANE_BYTES * k)
                planes = [v.load(b, columns_at, PLANE_BYTES * k, v.v64i8) for k in range(N_PLANES)]
                unit_to = b.add(to, b.mul(units.index, v.i64(fmt.unit_bytes)))
                store_planes(b, fmt, planes, v.at(b, unit_to, fmt.head_bytes + fmt.scales_bytes))
        return b.load(n_bad)

    return types.int64(source, row_bytes, n_rows, n_blocks, out, qtype), codegen


@intrinsic(prefer_literal=True)
def _regroup_floats(typingctx, source, row_bytes, n_rows, n_cols, out, qtype):
    """The same for rows of floats: 16 rows side by side per column."""
    fmt = FORMATS[qtype.literal_value]
    typ = v.f16 if fmt.size_bytes == 2 else v.f32

    def codegen(context: Any, b: v.Builder, signature: Any, args: Any) -> Any:
        source, row_bytes, n_rows, n_cols, out = args[:5]
        n_bad = cgutils.alloca_once_value(b, v.i64(0))
        with cgutils.for_range(b, n_rows) as rows:
            row_at = b.add(source, b.mul(rows.index, row_bytes))
            to = b.add(out, b.mul(rows.index, v.i64(fmt.size_bytes)))
            with cgutils.for_range(b, n_cols) as columns:
                value = v.load(b, b.add(row_at, b.mul(columns.index, v.i64(fmt.size_bytes))), 0, typ)
                _note_if_not_finite(b, value, n_bad)
                v.store(b, value, b.add(to, b.mul(columns.index, v.i64(fmt.group_block_bytes))))
        return b.load(n_bad)

    return types.int64(source, row_bytes, n_rows, n_cols, out, qtype), codegen


@intrinsic(prefer_literal=True)
def _decode(typingctx, source, n_blocks, out, qtype):
    """Write `n_blocks` blocks of a file's row as float32: exactly the values that the format defines."""
    fmt = FORMATS[qtype.literal_value]

    def codegen(context: Any, b: v.Builder, signature: Any, args: Any) -> Any:
        source, n_blocks, out = args[:3]
        with cgutils.for_range(b, n_blocks) as loop:
            at = b.add(source, b.mul(loop.index, v.i64(fmt.size_bytes)))
            to = b.add(out, b.mul(loop.index, v.i64(4 * fmt.values)))
            if fmt.read is None:
                value = v.load(b, at, 0, v.f16 if fmt.size_bytes == 2 else v.f32)
                v.store(b, v.half_to_float(b, value) if fmt.size_bytes == 2 else value, to)
            else:
                for index, weights in enumerate(_weights(b, fmt, fmt.read(b, at))):
                    v.store(b, weights, to, 64 * index)
        return context.get_dummy_value()

    return types.void(source, n_blocks, out, qtype), codegen


def _weights(b: v.Builder, fmt: WeightFormat, block: Block) -> list[Any]:
    """The weights of a block, 16 at a time; those with an offset are rounded once, the others exact."""

    def factor(half: Any, steps: list[Any], index: int, is_signed: bool) -> Any:
        value = v.half_to_float(b, half)
        if steps:
            step = steps[16 * index // fmt.step]
            wide = b.sext(step, v.i32) if is_signed else b.zext(step, v.i32)
            value = b.fmul(value, b.sitofp(wide, v.f32))
        return v.splat(b, value)

    found = []
    for index, quants in enumerate(block.quants):
        q, scale = v.widen_bytes(b, quants), factor(block.scale, block.scales, index, fmt.is_signed)
        if block.offset is None:
            found.append(b.fmul(b.fsub(q, v.constant(v.v16f32, float(fmt.zero))), scale))
            continue
        offset = factor(block.offset, block.offsets, index, False)
        found.append(v.fma(b, q, scale, b.fneg(offset) if fmt.offset_sign < 0 else offset))
    return found


def compile_regroup(qtype: int) -> Any:
    """Return the C function that regroups weight rows of ggml type `qtype`.

    (source, row_bytes, row_start, row_stop, n_blocks, out, group_bytes) -> how many scales (or floats) are
    NaN or infinite; all int64. source, out: addresses of the first row and of the first group of 16;
    row_start: a multiple of 16; n_blocks: per row, columns where weights are floats. `out` must hold zeros.
    """
    stamp = SOURCE_STAMP  # part of the disk cache's key: the emitters live in other files

    def regroup(source, row_bytes, row_start, row_stop, n_blocks, out, group_bytes):
        _ = stamp
        n_bad = 0
        for row in range(row_start, row_stop, ROWS):
            to = out + row // ROWS * group_bytes
            n_rows = min(ROWS, row_stop - row)
            n_bad += _regroup(source + row * row_bytes, row_bytes, n_rows, n_blocks, to, qtype)
        return n_bad

    def regroup_floats(source, row_bytes, row_start, row_stop, n_cols, out, group_bytes):
        _ = stamp
        n_bad = 0
        for row in range(row_start, row_stop, ROWS):
            to = out + row // ROWS * group_bytes
            n_rows = min(ROWS, row_stop - row)
            n_bad += _regroup_floats(source + row * row_bytes, row_bytes, n_rows, n_cols, to, qtype)
        return n_bad

    return cfunc(REGROUP_SIGNATURE, cache=True)(regroup_floats if FORMATS[qtype].is_float else regroup)


def compile_decode(qtype: int) -> Any:
    """Return the C function (source, n_blocks, out) that writes blocks of a file's row as float32."""
    stamp = SOURCE_STAMP

    def decode(source, n_blocks, out):
        _ = stamp
        _decode(source, n_blocks, out, qtype)

    return cfunc(DECODE_SIGNATURE, cache=True)(decode)
