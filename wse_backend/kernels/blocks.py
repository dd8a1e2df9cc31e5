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

from wse_backend.kernels import vectors as v
from wse_backend.kernels.vectors import Builder, Value, f16, f32, i8, i16, i32, v16f16, v16f32, v16i8, v16i32


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


def _offset(b: Builder, scale: Value, zero: int) -> Value:
    """-zero * scale: with it, q * scale + offset is exactly (q - zero) * scale (no bit of either is lost)."""
    return b.fmul(scale, v.constant(v16f32, -float(zero)))


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


def _nibble_weights(b: Builder, packed: Value, scale: Value, low: Value) -> Iterator[Value]:
    """q * scale + low for the low, then the high nibbles q of 16 bytes."""
    if v.HAS_LOOKUP:
        # 16 possible weights per block: look them up. The look-up reads the low four bits of each lane.
        weights = v.fma(b, v.iota(v16f32), scale, low)
        lanes = b.zext(packed, v16i32)
        yield v.look_up(b, weights, lanes)
        yield v.look_up(b, weights, b.lshr(lanes, v.constant(v16i32, 4)))
        return
    for high in (False, True):
        yield v.fma(b, v.widen_bytes(b, _nibbles(b, packed, high=high)), scale, low)


def _emit_q4_0(b: Builder, base: Value) -> Iterator[Value]:
    scale = _scale(b, base, 0)
    return _nibble_weights(b, v.load(b, base, 2, v16i8), scale, _offset(b, scale, 8))


def _emit_q4_1(b: Builder, base: Value) -> Iterator[Value]:
    scale, low = _scale(b, base, 0), _scale(b, base, 2)
    return _nibble_weights(b, v.load(b, base, 4, v16i8), scale, low)


def _emit_q5_0(b: Builder, base: Value) -> Iterator[Value]:
    scale = _scale(b, base, 0)
    low = _offset(b, scale, 16)
    packed = v.load(b, base, 6, v16i8)
    for high in (False, True):
        fifth = _bit(b, v.load(b, base, 4 if high else 2, i16), 16)
        q = v.widen_bytes(b, b.or_(_nibbles(b, packed, high=high), fifth))
        yield v.fma(b, q, scale, low)


def _emit_q5_1(b: Builder, base: Value) -> Iterator[Value]:
    scale, low = _scale(b, base, 0), _scale(b, base, 2)
    packed = v.load(b, base, 8, v16i8)
    for high in (False, True):
        fifth = _bit(b, v.load(b, base, 6 if high else 4, i16), 16)
        yield v.fma(b, v.widen_bytes(b, b.or_(_nibbles(b, packed, high=high), fifth)), scale, low)


def _k_scale_min(b: Builder, base: Value, sub_block: int) -> tuple[Value, Value]:
    """The 6-bit scale and min of a K-quant sub-block (0 to 7), as i8 (ggml's get_scale_min_k4)."""

    def byte(index: int) -> Value:
        return v.load(b, base, index, i8)

    if sub_block < 4:
        return b.and_(byte(sub_block), i8(63)), b.and_(byte(sub_block + 4), i8(63))
    tail, top = byte(sub_block + 4), i8(6)
    scale = b.or_(b.and_(tail, i8(15)), b.shl(b.lshr(byte(sub_block - 4), top), i8(4)))
    low = b.or_(b.lshr(tail, i8(4)), b.shl(b.lshr(byte(sub_block), top), i8(4)))
    return scale, low


def _k_scales(b: Builder, base: Value, sub_block: int) -> tuple[Value, Value]:
    """(scale, -min) of a sub-block of Q4_K or Q5_K in every lane: d * sc and -(dmin * m), both exact."""
    d, d_min = (v.half_to_float(b, v.load(b, base, offset, f16)) for offset in (0, 2))
    scale, low = (b.uitofp(b.zext(value, i32), f32) for value in _k_scale_min(b, v.at(b, base, 4), sub_block))
    return v.splat(b, b.fmul(d, scale)), v.splat(b, b.fneg(b.fmul(d_min, low)))


def _emit_q4_k(b: Builder, base: Value) -> Iterator[Value]:
    for sub_block in range(8):
        scale, low = _k_scales(b, base, sub_block)
        for half in (0, 16):
            packed = v.load(b, base, 16 + 32 * (sub_block // 2) + half, v16i8)
            yield v.fma(b, v.widen_bytes(b, _nibbles(b, packed, high=sub_block % 2 == 1)), scale, low)


def _emit_q5_k(b: Builder, base: Value) -> Iterator[Value]:
    for sub_block in range(8):
        scale, low = _k_scales(b, base, sub_block)
        for half in (0, 16):
            packed = v.load(b, base, 48 + 32 * (sub_block // 2) + half, v16i8)
            bits = v.load(b, base, 16 + half, v16i8)
            fifth = b.shl(
                b.and_(b.lshr(bits, v.constant(v16i8, sub_block)), v.constant(v16i8, 1)), v.constant(v16i8, 4)
            )
            q = b.or_(_nibbles(b, packed, high=sub_block % 2 == 1), fifth)
            yield v.fma(b, v.widen_bytes(b, q), scale, low)


def _emit_q6_k(b: Builder, base: Value) -> Iterator[Value]:
    d = v.half_to_float(b, v.load(b, base, 208, f16))
    for group in range(16):  # 16 weights each; two 128-weight halves of four 32-weight quarters
        part, quarter, half = group // 8, group % 8 // 2, group % 2 * 16
        scale = b.sitofp(b.sext(v.load(b, base, 192 + group, i8), i32), f32)
        packed = v.load(b, base, 64 * part + 32 * (quarter % 2) + half, v16i8)
        top = b.lshr(v.load(b, base, 128 + 32 * part + half, v16i8), v.constant(v16i8, 2 * quarter))
        top = b.shl(b.and_(top, v.constant(v16i8, 3)), v.constant(v16i8, 4))
        q = v.widen_bytes(b, b.or_(_nibbles(b, packed, high=quarter >= 2), top))
        yield b.fmul(b.fsub(q, v.constant(v16f32, 32.0)), v.splat(b, b.fmul(d, scale)))


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
