"""Activations as integers: a token's row of float32 becomes a record of 15-bit integers.

    x = scale * q,    |q| <= 32,512,    one scale per block of 32 columns

The scale is the block's largest size / 32,512, so an outlier costs precision in its own block only (Qwen's
activations have blocks 250 times larger than the median one). Rounding moves a value by at most 1/65,024 of
its block's largest.

A record holds 80 bytes per block: q in the order the processor multiplies in (64 bytes), then scale and
scale * (sum of q) as float32, minus the sum of q, and minus the sum of its first 16 as int32.

    with AVX-512 VNNI: 32 high bytes, then 32 low bytes, signed: q = 256 * high + low
    otherwise: int16, of each four columns the first and third, then the second and fourth
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from wse_backend.engine.kernels import vectors as v
from wse_backend.engine.kernels.formats import UNIT

TOP = 32512  # 127 * 256: the high byte stays within -127 and 127
HAS_BYTE_DOT = v.target_has("avx512vnni")  # vpdpbusd: products of bytes, four at a time

BLOCK_BYTES = 80
SCALE_AT, SCALED_SUM_AT, MINUS_SUM_AT, MINUS_FIRST_AT = 64, 68, 72, 76
LINE_BYTES = 64

NOT_FINITE = 0x7F800000  # bits of infinity: those of NaN, without its sign, are above
SMALLEST = 1e-30  # blocks below are zero: their scale's reciprocal would overflow

_PAIRS = [4 * (i // 4) + (0, 2, 1, 3)[i % 4] for i in range(UNIT)]


def record_bytes(n_cols: int) -> int:
    """The size of a record, a whole number of cache lines, odd so that rows do not share places of a page."""
    lines = -(-(-(-n_cols // UNIT) * BLOCK_BYTES) // LINE_BYTES)
    return (lines | 1) * LINE_BYTES


def _store_integers(b: v.Builder, halves: list[Any], at: Any) -> None:
    """q of 32 columns, as two vectors of 16 int32, in the order of the record."""
    if HAS_BYTE_DOT:
        for half, q in enumerate(halves):
            high = b.ashr(b.add(q, v.constant(v.v16i32, 128)), v.constant(v.v16i32, 8))
            v.store(b, b.trunc(high, v.v16i8), at, 16 * half)
            v.store(b, b.trunc(q, v.v16i8), at, UNIT + 16 * half)
        return
    low, high = (b.trunc(q, v.v16i16) for q in halves)
    v.store(b, v.shuffle(b, low, high, _PAIRS), at)


@intrinsic
def quantize(typingctx, source, record, column, count):
    """Write `count` columns from `column` on (a multiple of 32) of a float32 row at `source` to its record.

    The row is read in whole blocks: beyond its end it must hold zeros. Returns the bits of the largest size
    found; NOT_FINITE or more means that a NaN or an infinity was, and the record is of no use.
    """

    def codegen(context: Any, b: v.Builder, signature: Any, args: Any) -> Any:
        source, record, column, count = args
        largest = cgutils.alloca_once_value(b, v.i32(0))
        first = b.lshr(column, v.i64(5))
        n_blocks = b.lshr(b.add(count, v.i64(UNIT - 1)), v.i64(5))
        with cgutils.for_range(b, n_blocks) as loop:
            index = b.add(first, loop.index)
            at = b.add(source, b.mul(index, v.i64(4 * UNIT)))
            out = b.add(record, b.mul(index, v.i64(BLOCK_BYTES)))
            parts = [v.load(b, at, 64 * half, v.v16f32) for half in (0, 1)]
            # Sizes compare as their bits do; as integers NaN and infinity are the largest, not lost.
            sizes = [b.and_(b.bitcast(x, v.v16i32), v.constant(v.v16i32, 0x7FFFFFFF)) for x in parts]
            larger = b.select(b.icmp_unsigned(">", sizes[0], sizes[1]), *sizes)
            bits = v.call_intrinsic(b, "llvm.vector.reduce.umax.v16i32", v.i32, (larger,))
            known = b.load(largest)
            b.store(b.select(b.icmp_unsigned(">", bits, known), bits, known), largest)
            top = b.bitcast(bits, v.f32)
            is_some = b.and_(
                b.fcmp_ordered(">", top, v.f32(SMALLEST)), b.icmp_unsigned("<", bits, v.i32(NOT_FINITE))
            )
            inverse = v.splat(b, b.fdiv(v.f32(TOP), top))
            zero = v.constant(v.v16f32, 0.0)
            is_some_lanes = v.splat(b, is_some)
            halves, sums = [], []
            for x in parts:
                scaled = b.select(is_some_lanes, b.fmul(x, inverse), zero)
                q = b.fptosi(v.call_intrinsic(b, "llvm.rint.v16f32", v.v16f32, (scaled,)), v.v16i32)
                halves.append(q)
                sums.append(v.call_intrinsic(b, "llvm.vector.reduce.add.v16i32", v.i32, (q,)))
            _store_integers(b, halves, out)
            scale = b.select(is_some, b.fdiv(top, v.f32(TOP)), v.f32(0.0))
            total = b.add(*sums)
            v.store(b, scale, out, SCALE_AT)
            v.store(b, b.fmul(scale, b.sitofp(total, v.f32)), out, SCALED_SUM_AT)
            v.store(b, b.neg(total), out, MINUS_SUM_AT)
            v.store(b, b.neg(sums[0]), out, MINUS_FIRST_AT)
        return b.zext(b.load(largest), v.i64)

    return types.int64(*[types.int64] * 4), codegen


def prepare_planes(b: v.Builder, planes: list[Any]) -> list[Any]:
    """Planes of weights as `dot` wants them: bytes, or their even and odd bytes as int16."""
    if HAS_BYTE_DOT:
        return planes
    typ = ir.VectorType(v.i16, 2 * v.LANES)
    prepared = []
    for plane in planes:
        words = b.bitcast(plane, typ)
        prepared += [b.and_(words, v.constant(typ, 255)), b.lshr(words, v.constant(typ, 8))]
    return prepared


def _pair_products(b: v.Builder, total: Any, weights: Any, pair: Any) -> Any:
    """total + the sums of two neighbouring products of int16, in int32 (pmaddwd on x86)."""
    wide = ir.VectorType(v.i32, 2 * v.LANES)
    activations = b.bitcast(v.splat(b, pair), weights.type)
    products = b.mul(b.sext(weights, wide), b.sext(activations, wide))
    even = v.shuffle(b, products, products, range(0, 2 * v.LANES, 2))
    odd = v.shuffle(b, products, products, range(1, 2 * v.LANES, 2))
    return b.add(b.add(even, odd), total)


def dot(b: v.Builder, prepared: list[Any], first_plane: int, record: Any, start: Any) -> Any:
    """start + the sum over the columns of `prepared` planes of (weight x q), int32 (16 rows); exact.

    prepared: what `prepare_planes` made of the unit's planes from `first_plane` on; record: its block.
    """
    if HAS_BYTE_DOT:
        sums = [v.constant(v.v16i32, 0), start]
        for part in (0, 1):
            for k, weights in enumerate(prepared, first_plane):
                quad = v.load(b, record, UNIT * part + 4 * k, v.i32)
                sums[part] = v.call_intrinsic(
                    b,
                    "llvm.x86.avx512.vpdpbusd.512",
                    v.v16i32,
                    (sums[part], b.bitcast(weights, v.v16i32), v.splat(b, quad)),
                )
        return b.add(b.shl(sums[0], v.constant(v.v16i32, 8)), sums[1])
    total = start
    for k, weights in enumerate(prepared, 2 * first_plane):
        total = _pair_products(b, total, weights, v.load(b, record, 4 * k, v.i32))
    return total
