"""Decode GGUF weight blocks in registers: one emitter per block format.

An emitter yields the weights of one block as 16-lane float32 vectors in their natural order. Every value
is exactly the one the format defines: scale x integer fits float32's 24-bit mantissa, so the only rounding
is the final one of formats with an offset (the same single rounding in a fused multiply-add).

Layouts: ggml-common.h of llama.cpp (MIT), as mirrored by the `gguf` library's `quants.py`, which is the
reference the tests compare with.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from llvmlite import ir

from wse_backend.engine.kernels import vectors as v
from wse_backend.engine.kernels.vectors import (
    Builder,
    Value,
    f16,
    i8,
    i16,
    i32,
    v16f16,
    v16f32,
    v16i8,
    v16i32,
)


@dataclass(frozen=True)
class BlockFormat:
    """A block format: `values` weights in `size_bytes`, decoded by `emit`."""

    name: str
    values: int
    size_bytes: int
    emit: Callable[[Builder, Value], Iterator[Value]]


def _scale(b: Builder, base: Value, offset: int) -> Value:
    """The float16 at `offset`, as float32 in every lane (spread first, then converted: fewer steps)."""
    return v.half_to_float(b, v.splat(b, v.load(b, base, offset, f16)))


def _nibbles(b: Builder, packed: Value, *, high: bool) -> Value:
    """The low or high four bits of 16 bytes."""
    if high:
        return b.lshr(packed, v.constant(v16i8, 4))
    return b.and_(packed, v.constant(v16i8, 15))


def _bit(b: Builder, bits: Value, value: int) -> Value:
    """16 bytes: `value` where the bit of the i16 `bits` is set, else 0."""
    mask = b.bitcast(bits, ir.VectorType(v.i1, v.LANES))
    return b.select(mask, v.constant(v16i8, value), v.constant(v16i8, 0))


def _emit_f32(b: Builder, base: Value) -> Iterator[Value]:
    for offset in (0, 64):
        yield v.load(b, base, offset, v16f32)


def _emit_f16(b: Builder, base: Value) -> Iterator[Value]:
    for offset in (0, 32):
        yield v.half_to_float(b, v.load(b, base, offset, v16f16))


def _emit_q8_0(b: Builder, base: Value) -> Iterator[Value]:
    scale = _scale(b, base, 0)
    for offset in (2, 18):
        yield b.fmul(v.widen_bytes(b, v.load(b, base, offset, v16i8), signed=True), scale)


def _nibble_weights(b: Builder, packed: Value, weigh: Callable[[Value], Value]) -> Iterator[Value]:
    """The weights `weigh(q)` of the low, then the high nibbles q of 16 bytes."""
    if v.HAS_LOOKUP:
        # 16 possible weights per block: look them up. The look-up reads the low four bits of each lane.
        weights = weigh(v.iota(v16f32))
        lanes = b.zext(packed, v16i32)
        yield v.look_up(b, weights, lanes)
        yield v.look_up(b, weights, b.lshr(lanes, v.constant(v16i32, 4)))
        return
    for high in (False, True):
        yield weigh(v.widen_bytes(b, _nibbles(b, packed, high=high)))


def _centred(b: Builder, scale: Value, zero: int) -> Callable[[Value], Value]:
    """q -> (q - zero) * scale: both steps are exact."""
    return lambda q: b.fmul(b.fsub(q, v.constant(v16f32, float(zero))), scale)


def _shifted(b: Builder, scale: Value, low: Value) -> Callable[[Value], Value]:
    """q -> q * scale + low, rounded once."""
    return lambda q: v.fma(b, q, scale, low)


def _emit_q4_0(b: Builder, base: Value) -> Iterator[Value]:
    scale = _scale(b, base, 0)
    return _nibble_weights(b, v.load(b, base, 2, v16i8), _centred(b, scale, 8))


def _emit_q4_1(b: Builder, base: Value) -> Iterator[Value]:
    scale, low = _scale(b, base, 0), _scale(b, base, 2)
    return _nibble_weights(b, v.load(b, base, 4, v16i8), _shifted(b, scale, low))


def _five_bit_weights(
    b: Builder, bits: Value, packed: Value, weigh: Callable[[Value], Value]
) -> Iterator[Value]:
    """The weights `weigh(q)` of 32 numbers q: nibbles as above, and their fifth bits in the i32 `bits`."""
    if v.HAS_LOOKUP:
        # 32 possible weights per block in two registers; the look-up reads the low five bits of each lane.
        low, high = weigh(v.iota(v16f32)), weigh(b.fadd(v.iota(v16f32), v.constant(v16f32, 16.0)))
        lanes, fifths = b.zext(packed, v16i32), v.splat(b, bits)
        fifteen = v.constant(v16i32, 15)
        for half in (0, 1):
            turns = ir.Constant(v16i32, [(lane + 16 * half - 4) % 32 for lane in range(v.LANES)])
            fifth = v.call_intrinsic(b, "llvm.fshr.v16i32", v16i32, (fifths, fifths, turns))
            nibbles = b.lshr(lanes, v.constant(v16i32, 4)) if half else lanes
            q = b.or_(b.and_(nibbles, fifteen), b.and_(fifth, b.not_(fifteen)))
            yield v.look_up_pair(b, low, high, q)
        return
    halves = b.bitcast(bits, ir.VectorType(i16, 2))
    for half in (0, 1):
        fifth = _bit(b, b.extract_element(halves, i32(half)), 16)
        yield weigh(v.widen_bytes(b, b.or_(_nibbles(b, packed, high=half == 1), fifth)))


def _emit_q5_0(b: Builder, base: Value) -> Iterator[Value]:
    weigh = _centred(b, _scale(b, base, 0), 16)
    return _five_bit_weights(b, v.load(b, base, 2, i32), v.load(b, base, 6, v16i8), weigh)


def _emit_q5_1(b: Builder, base: Value) -> Iterator[Value]:
    weigh = _shifted(b, _scale(b, base, 0), _scale(b, base, 2))
    return _five_bit_weights(b, v.load(b, base, 4, i32), v.load(b, base, 8, v16i8), weigh)


def _k_scales(b: Builder, base: Value) -> Value:
    """The scales d * sc of the 8 sub-blocks of Q4_K or Q5_K, then their offsets -(dmin * m); all exact.

    The 6-bit sc and m lie packed in 12 bytes (ggml's get_scale_min_k4), unpacked here four at a time.
    """
    first, second, tails = (v.load(b, base, offset, i32) for offset in (4, 8, 12))

    def bits(word: Value, shift: int, mask: int) -> Value:
        return b.and_(b.lshr(word, i32(shift)), i32(mask * 0x01010101))

    def late(tail_shift: int, tops: Value) -> Value:
        return b.or_(bits(tails, tail_shift, 15), b.shl(bits(tops, 6, 3), i32(4)))

    words = ir.Constant(ir.VectorType(i32, 4), ir.Undefined)
    for lane, word in enumerate((bits(first, 0, 63), late(0, first), bits(second, 0, 63), late(4, second))):
        words = b.insert_element(words, word, i32(lane))
    d, d_min = (v.splat(b, v.half_to_float(b, v.load(b, base, offset, f16))) for offset in (0, 2))
    factors = v.shuffle(b, d, b.fneg(d_min), [*range(8), *range(16, 24)])
    return b.fmul(v.widen_bytes(b, b.bitcast(words, v16i8)), factors)


def _lane(b: Builder, vector: Value, lane: int) -> Value:
    """One lane of a vector in every lane."""
    return v.shuffle(b, vector, vector, [lane] * v.LANES)


def _emit_q4_k(b: Builder, base: Value) -> Iterator[Value]:
    scales = _k_scales(b, base)
    for pair in range(4):  # 32 bytes: the low nibbles are one sub-block, the high ones the next
        packed = [v.load(b, base, 16 + 32 * pair + half, v16i8) for half in (0, 16)]
        for sub_block in (2 * pair, 2 * pair + 1):
            scale, low = _lane(b, scales, sub_block), _lane(b, scales, 8 + sub_block)
            for half in packed:
                low_nibbles, high_nibbles = _nibble_weights(b, half, _shifted(b, scale, low))
                yield high_nibbles if sub_block % 2 else low_nibbles


def _emit_q5_k(b: Builder, base: Value) -> Iterator[Value]:
    scales = _k_scales(b, base)
    for sub_block in range(8):
        scale, low = _lane(b, scales, sub_block), _lane(b, scales, 8 + sub_block)
        for half in (0, 16):
            packed = v.load(b, base, 48 + 32 * (sub_block // 2) + half, v16i8)
            bits = v.load(b, base, 16 + half, v16i8)
            fifth = b.shl(
                b.and_(b.lshr(bits, v.constant(v16i8, sub_block)), v.constant(v16i8, 1)), v.constant(v16i8, 4)
            )
            q = b.or_(_nibbles(b, packed, high=sub_block % 2 == 1), fifth)
            yield v.fma(b, v.widen_bytes(b, q), scale, low)


def _emit_q6_k(b: Builder, base: Value) -> Iterator[Value]:
    """Two halves of 128 weights: 64 bytes of nibbles, the low ones first, and 32 bytes with two bits more."""
    d = v.splat(b, v.half_to_float(b, v.load(b, base, 208, f16)))
    scales = b.fmul(v.widen_bytes(b, v.load(b, base, 192, v16i8), signed=True), d)
    v32i8, v64i8 = ir.VectorType(i8, 32), ir.VectorType(i8, 64)
    for part in range(2):
        packed = v.load(b, base, 64 * part, v64i8)
        tops = v.load(b, base, 128 + 32 * part, v32i8)
        for upper in (0, 1):
            first, second = (b.lshr(tops, v.constant(v32i8, 4 * upper + shift)) for shift in (0, 2))
            top = b.and_(v.shuffle(b, first, second, range(64)), v.constant(v64i8, 3))
            nibbles = b.lshr(packed, v.constant(v64i8, 4)) if upper else b.and_(packed, v.constant(v64i8, 15))
            q = b.sub(b.or_(nibbles, b.shl(top, v.constant(v64i8, 4))), v.constant(v64i8, 32))
            for sixteen in range(4):
                lanes = v.shuffle(b, q, q, range(16 * sixteen, 16 * sixteen + 16))
                scale = _lane(b, scales, 8 * part + 4 * upper + sixteen)
                yield b.fmul(v.widen_bytes(b, lanes, signed=True), scale)


# By ggml type number (gguf.GGMLQuantizationType). F32 and F16 have no blocks; 32 values make the loop's step.
FORMATS: dict[int, BlockFormat] = {
    0: BlockFormat("F32", 32, 128, _emit_f32),
    1: BlockFormat("F16", 32, 64, _emit_f16),
    2: BlockFormat("Q4_0", 32, 18, _emit_q4_0),
    3: BlockFormat("Q4_1", 32, 20, _emit_q4_1),
    6: BlockFormat("Q5_0", 32, 22, _emit_q5_0),
    7: BlockFormat("Q5_1", 32, 24, _emit_q5_1),
    8: BlockFormat("Q8_0", 32, 34, _emit_q8_0),
    12: BlockFormat("Q4_K", 256, 144, _emit_q4_k),
    13: BlockFormat("Q5_K", 256, 176, _emit_q5_k),
    14: BlockFormat("Q6_K", 256, 210, _emit_q6_k),
}

__all__ = ["FORMATS", "BlockFormat"]
