"""The weight formats the engine multiplies by, one description each; everything else is derived from it.

A description says how to read one block of the file (`read`: LLVM code that yields the block's integers in
their natural order, and its scales) and how many bits an integer keeps when weights are regrouped for the
kernels. To add a format is to add its `read` and its line in FORMATS.

    weight = scale * (q - zero)          or, with an offset,    weight = scale * q + offset

with `q` an unsigned integer of `bits` bits, and scale = d, or d * (a small integer per `step` columns).
Scales are float16 times an integer of at most 8 bits: exact in float32.

Regrouped, 16 neighbouring rows lie side by side, so that a vector's lanes run over rows:

    block := d of 16 rows (float16) [offset of 16 rows (float16)] unit x (values / 32)
    unit  := [per step: scale of 16 rows (bytes)] [per step: offset of 16 rows (bytes)] integers
    integers of 32 columns: eight planes of (16 rows, 4 columns) bytes, P[0] to P[7]; of them
        8 bits: all;  below: P[0] | P[1] << 4, P[2] | P[3] << 4, ... by their low four bits, and before these
        5 bits: eight masks of 64 bits, the fifth bits of P[0] to P[7]
        6 bits: after these two planes, the top two bits of P[0..3] and of P[4..7], two bits each

F32 and F16 have no integers: 16 rows side by side per column, and products in float32.

Layouts in the file: ggml-common.h of llama.cpp (MIT), as mirrored by the `gguf` library's `quants.py`, which
is the reference the tests compare with.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from llvmlite import ir

from wse_backend.engine.kernels import vectors as v
from wse_backend.engine.kernels.vectors import Builder, Value, f16, i8, i16, i32, v16i8

ROWS = v.LANES  # rows of a group
UNIT = 32  # columns of a unit, and of a block of activations
PLANE_BYTES = 4 * ROWS
N_PLANES = UNIT // 4


@dataclass(frozen=True)
class Block:
    """One block as read: quants, uint8 vectors of 16 values in natural order; the rest scalars or vectors."""

    quants: list[Value]
    scale: Value  # float16
    offset: Value | None = None  # float16, of formats with an offset
    scales: list[Value] = field(default_factory=list)  # i8 per step
    offsets: list[Value] = field(default_factory=list)  # i8 per step


@dataclass(frozen=True)
class WeightFormat:
    """A format: `values` weights in `size_bytes` of the file, `bits` each; see the module's docstring.

    zero: what is taken from an integer (a power of two, or 0); step: columns that share a scale;
    has_offset: weight = scale * q + offset; is_scaled: whether each step has a scale (and offset) of its
    own beside the block's; offset_sign: -1 where the file stores what is subtracted.
    The sums of a unit stay below 2**bits * 32 columns * 32,512 in size, so they fit int32 in every format:
    2.7e8 for 8 bits; up to 6 bits below 2**26, of which float32 rounds at most the last two.
    """

    name: str
    values: int
    size_bytes: int
    bits: int
    read: Callable[[Builder, Value], Block] | None = None
    zero: int = 0
    step: int = UNIT
    has_offset: bool = False
    is_scaled: bool = False
    is_signed: bool = False  # the scales of steps
    offset_sign: int = 1

    @property
    def is_float(self) -> bool:
        """Whether weights are floats: products then take the activations as float32."""
        return self.read is None

    @property
    def steps(self) -> int:
        """Steps of one unit."""
        return UNIT // self.step

    @property
    def head_bytes(self) -> int:
        """Bytes before the units of a regrouped block."""
        return 2 * ROWS * (2 if self.has_offset else 1)

    @property
    def scales_bytes(self) -> int:
        """Bytes before the integers of a unit."""
        return self.steps * ROWS * (2 if self.has_offset else 1) if self.is_scaled else 0

    @property
    def unit_bytes(self) -> int:
        """Bytes of 16 rows and 32 columns."""
        return self.scales_bytes + ROWS * UNIT * self.bits // 8

    @property
    def group_block_bytes(self) -> int:
        """Bytes of one block of 16 rows, regrouped; of one column where weights are floats."""
        if self.is_float:
            return ROWS * self.size_bytes
        return self.head_bytes + self.values // UNIT * self.unit_bytes


def _nibbles(b: Builder, packed: Value) -> tuple[Value, Value]:
    """The low and the high four bits of some bytes."""
    typ = packed.type
    return b.and_(packed, v.constant(typ, 15)), b.lshr(packed, v.constant(typ, 4))


def _bit(b: Builder, bits: Value, value: int) -> Value:
    """16 bytes: `value` where the bit of the i16 `bits` is set, else 0."""
    mask = b.bitcast(bits, ir.VectorType(v.i1, v.LANES))
    return b.select(mask, v.constant(v16i8, value), v.constant(v16i8, 0))


def _read_q4_0(b: Builder, base: Value) -> Block:
    return Block([*_nibbles(b, v.load(b, base, 2, v16i8))], v.load(b, base, 0, f16))


def _read_q4_1(b: Builder, base: Value) -> Block:
    quants = [*_nibbles(b, v.load(b, base, 4, v16i8))]
    return Block(quants, v.load(b, base, 0, f16), v.load(b, base, 2, f16))


def _five_bits(b: Builder, base: Value, bits_at: int) -> list[Value]:
    """32 integers: their fifth bits in four bytes at `bits_at`, then 16 bytes of nibbles."""
    halves = b.bitcast(v.load(b, base, bits_at, i32), ir.VectorType(i16, 2))
    nibbles = _nibbles(b, v.load(b, base, bits_at + 4, v16i8))
    return [b.or_(nibbles[at], _bit(b, b.extract_element(halves, i32(at)), 16)) for at in (0, 1)]


def _read_q5_0(b: Builder, base: Value) -> Block:
    return Block(_five_bits(b, base, 2), v.load(b, base, 0, f16))


def _read_q5_1(b: Builder, base: Value) -> Block:
    return Block(_five_bits(b, base, 4), v.load(b, base, 0, f16), v.load(b, base, 2, f16))


def _read_q8_0(b: Builder, base: Value) -> Block:
    """Signed bytes; 128 more makes them unsigned, as the kernels want them."""
    quants = [b.xor(v.load(b, base, at, v16i8), v.constant(v16i8, -128)) for at in (2, 18)]
    return Block(quants, v.load(b, base, 0, f16))


def _k_scales(b: Builder, base: Value) -> tuple[list[Value], list[Value]]:
    """The 6-bit scales and offsets of the 8 steps of Q4_K or Q5_K, packed in 12 bytes (get_scale_min_k4)."""
    first, second, tails = (v.load(b, base, at, i32) for at in (4, 8, 12))

    def bits(word: Value, shift: int, mask: int) -> Value:
        return b.and_(b.lshr(word, i32(shift)), i32(mask * 0x01010101))

    def late(tail_shift: int, tops: Value) -> Value:
        return b.or_(bits(tails, tail_shift, 15), b.shl(bits(tops, 6, 3), i32(4)))

    def split(*words: Value) -> list[Value]:
        quads = [b.bitcast(word, ir.VectorType(i8, 4)) for word in words]
        return [b.extract_element(quad, i32(lane)) for quad in quads for lane in range(4)]

    scales = split(bits(first, 0, 63), late(0, first))
    return scales, split(bits(second, 0, 63), late(4, second))


def _read_q4_k(b: Builder, base: Value) -> Block:
    quants: list[Value] = []
    for pair in range(4):  # 32 bytes: the low nibbles are one step, the high ones the next
        halves = [_nibbles(b, v.load(b, base, 16 + 32 * pair + at, v16i8)) for at in (0, 16)]
        quants += [half[0] for half in halves] + [half[1] for half in halves]
    scales, offsets = _k_scales(b, base)
    return Block(quants, v.load(b, base, 0, f16), v.load(b, base, 2, f16), scales, offsets)


def _read_q5_k(b: Builder, base: Value) -> Block:
    quants: list[Value] = []
    for step in range(8):
        for at in (0, 16):
            nibbles = _nibbles(b, v.load(b, base, 48 + 32 * (step // 2) + at, v16i8))[step % 2]
            bits = b.lshr(v.load(b, base, 16 + at, v16i8), v.constant(v16i8, step))
            fifth = b.shl(b.and_(bits, v.constant(v16i8, 1)), v.constant(v16i8, 4))
            quants.append(b.or_(nibbles, fifth))
    scales, offsets = _k_scales(b, base)
    return Block(quants, v.load(b, base, 0, f16), v.load(b, base, 2, f16), scales, offsets)


def _read_q6_k(b: Builder, base: Value) -> Block:
    """Two halves of 128 weights: 64 bytes of nibbles, the low ones first, and 32 bytes with two bits more."""
    quants: list[Value] = []
    for half in range(2):
        for quarter in range(4):
            for at in (0, 16):
                nibbles_at = 64 * half + 32 * (quarter % 2) + at
                nibbles = _nibbles(b, v.load(b, base, nibbles_at, v16i8))[quarter // 2]
                tops = b.lshr(v.load(b, base, 128 + 32 * half + at, v16i8), v.constant(v16i8, 2 * quarter))
                top = b.shl(b.and_(tops, v.constant(v16i8, 3)), v.constant(v16i8, 4))
                quants.append(b.or_(nibbles, top))
    scales = [v.load(b, base, 192 + step, i8) for step in range(16)]
    return Block(quants, v.load(b, base, 208, f16), scales=scales)


def _two_bits(b: Builder, base: Value, packed_at: int, index: int) -> Value:
    """16 of the 256 two-bit integers of Q2_K or Q3_K: of each 32 bytes, first the lowest bits of all."""
    half, rest = divmod(index, 8)
    packed = v.load(b, base, packed_at + 32 * half + 16 * (rest % 2), v16i8)
    return b.and_(b.lshr(packed, v.constant(v16i8, 2 * (rest // 2))), v.constant(v16i8, 3))


def _read_q2_k(b: Builder, base: Value) -> Block:
    """Scales and offsets of four bits each for every 16 weights."""
    quants = [_two_bits(b, base, 16, index) for index in range(16)]
    both = [v.load(b, base, step, i8) for step in range(16)]
    scales = [b.and_(pair, i8(15)) for pair in both]
    offsets = [b.lshr(pair, i8(4)) for pair in both]
    return Block(quants, v.load(b, base, 80, f16), v.load(b, base, 82, f16), scales, offsets)


def _read_q3_k(b: Builder, base: Value) -> Block:
    """Two bits in `qs`, the third in `hmask`; 16 scales of six bits, 32 too large, packed in 12 bytes."""
    quants = []
    for index in range(16):
        mask = v.load(b, base, 16 * (index % 2), v16i8)
        third = b.and_(b.lshr(mask, v.constant(v16i8, index // 2)), v.constant(v16i8, 1))
        quants.append(b.or_(_two_bits(b, base, 32, index), b.shl(third, v.constant(v16i8, 2))))
    scales = []
    for step in range(16):
        low = v.load(b, base, 96 + step % 8, i8)
        low = b.and_(b.lshr(low, i8(4 * (step // 8))), i8(15))
        high = b.and_(b.lshr(v.load(b, base, 104 + step % 4, i8), i8(2 * (step // 4))), i8(3))
        scales.append(b.sub(b.or_(low, b.shl(high, i8(4))), i8(32)))
    return Block(quants, v.load(b, base, 108, f16), scales=scales)


# What the 16 codes of a non-linear format stand for: kvalues_iq4nl and kvalues_mxfp4 of ggml-common.h.
IQ4_VALUES = (-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)
MXFP4_VALUES = (0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12)


def _look_up(b: Builder, codes: Value, values: tuple[int, ...], zero: int) -> Value:
    """values[code] + zero of 16 codes."""
    found = v.constant(v16i8, 0)
    for code, value in enumerate(values):
        is_it = b.icmp_unsigned("==", codes, v.constant(v16i8, code))
        found = b.select(is_it, v.constant(v16i8, (value + zero + 128) % 256 - 128), found)
    return found


def _read_iq4_nl(b: Builder, base: Value) -> Block:
    halves = _nibbles(b, v.load(b, base, 2, v16i8))
    return Block([_look_up(b, half, IQ4_VALUES, 128) for half in halves], v.load(b, base, 0, f16))


def _read_iq4_xs(b: Builder, base: Value) -> Block:
    """A scale of six bits, 32 too large, for every 32 weights: the low four bits, and two bits apart."""
    quants: list[Value] = []
    scales: list[Value] = []
    high_bits = v.load(b, base, 2, i16)
    for step in range(8):
        halves = _nibbles(b, v.load(b, base, 8 + 16 * step, v16i8))
        quants += [_look_up(b, half, IQ4_VALUES, 128) for half in halves]
        low = b.and_(b.lshr(v.load(b, base, 4 + step // 2, i8), i8(4 * (step % 2))), i8(15))
        high = b.trunc(b.and_(b.lshr(high_bits, i16(2 * step)), i16(3)), i8)
        scales.append(b.sub(b.or_(low, b.shl(high, i8(4))), i8(32)))
    return Block(quants, v.load(b, base, 0, f16), scales=scales)


def _read_mxfp4(b: Builder, base: Value) -> Block:
    """A power of two for 32 weights, 2**(e - 128) (OCP Microscaling v1.0); the codes stand for twice FP4's.

    As a float16: exact from 2**-24 to 2**15. A block of smaller ones, below 1e-6, becomes zero; one of larger
    ones is refused as infinite.
    """
    exponent = b.sub(b.zext(v.load(b, base, 0, i8), i32), i32(128))
    bits = b.shl(b.add(exponent, i32(127)), i32(23))
    scale = v.float_to_half(b, b.bitcast(bits, v.f32))
    halves = _nibbles(b, v.load(b, base, 1, v16i8))
    return Block([_look_up(b, half, MXFP4_VALUES, 16) for half in halves], scale)


def _k_quant(name: str, size_bytes: int, bits: int, read: Callable[[Builder, Value], Block]) -> WeightFormat:
    return WeightFormat(name, 256, size_bytes, bits, read, has_offset=True, is_scaled=True, offset_sign=-1)


# By ggml type number (gguf.GGMLQuantizationType).
FORMATS: dict[int, WeightFormat] = {
    0: WeightFormat("F32", 1, 4, 32),
    1: WeightFormat("F16", 1, 2, 16),
    2: WeightFormat("Q4_0", 32, 18, 4, _read_q4_0, zero=8),
    3: WeightFormat("Q4_1", 32, 20, 4, _read_q4_1, has_offset=True),
    6: WeightFormat("Q5_0", 32, 22, 5, _read_q5_0, zero=16),
    7: WeightFormat("Q5_1", 32, 24, 5, _read_q5_1, has_offset=True),
    8: WeightFormat("Q8_0", 32, 34, 8, _read_q8_0, zero=128),
    10: WeightFormat(
        "Q2_K", 256, 84, 4, _read_q2_k, step=16, has_offset=True, is_scaled=True, offset_sign=-1
    ),
    11: WeightFormat("Q3_K", 256, 110, 4, _read_q3_k, zero=4, step=16, is_scaled=True, is_signed=True),
    12: _k_quant("Q4_K", 144, 4, _read_q4_k),
    13: _k_quant("Q5_K", 176, 5, _read_q5_k),
    14: WeightFormat("Q6_K", 256, 210, 6, _read_q6_k, zero=32, step=16, is_scaled=True, is_signed=True),
    20: WeightFormat("IQ4_NL", 32, 18, 8, _read_iq4_nl, zero=128),
    23: WeightFormat("IQ4_XS", 256, 136, 8, _read_iq4_xs, zero=128, is_scaled=True, is_signed=True),
    39: WeightFormat("MXFP4", 32, 17, 5, _read_mxfp4, zero=16),
}


def load_planes(b: Builder, fmt: WeightFormat, base: Value) -> list[Value]:
    """The eight planes of a regrouped unit whose integers begin at `base`: uint8 (16 rows x 4 columns)."""
    if fmt.bits == 8:
        return [v.load(b, base, PLANE_BYTES * k, v.v64i8) for k in range(N_PLANES)]
    masks_bytes = 8 * N_PLANES if fmt.bits == 5 else 0
    planes: list[Value] = []
    for pair in range(N_PLANES // 2):
        planes += _nibbles(b, v.load(b, base, masks_bytes + PLANE_BYTES * pair, v.v64i8))
    if fmt.bits == 5:
        for k, plane in enumerate(planes):
            mask = b.bitcast(v.load(b, base, 8 * k, v.i64), ir.VectorType(v.i1, PLANE_BYTES))
            planes[k] = b.select(mask, b.or_(plane, v.constant(v.v64i8, 16)), plane)
    if fmt.bits == 6:
        for k, plane in enumerate(planes):
            tops = v.load(b, base, PLANE_BYTES * (N_PLANES // 2 + k // 4), v.v64i8)
            top = b.and_(b.lshr(tops, v.constant(v.v64i8, 2 * (k % 4))), v.constant(v.v64i8, 3))
            planes[k] = b.or_(plane, b.shl(top, v.constant(v.v64i8, 4)))
    return planes


def store_planes(b: Builder, fmt: WeightFormat, planes: list[Value], base: Value) -> None:
    """Write the integers of a unit to `base` as `load_planes` reads them."""
    if fmt.bits == 8:
        for k, plane in enumerate(planes):
            v.store(b, plane, base, PLANE_BYTES * k)
        return
    four = v.constant(v.v64i8, 4)
    masks_bytes = 8 * N_PLANES if fmt.bits == 5 else 0
    for pair in range(N_PLANES // 2):
        low, high = planes[2 * pair], planes[2 * pair + 1]
        both = b.or_(b.and_(low, v.constant(v.v64i8, 15)), b.shl(high, four))
        v.store(b, both, base, masks_bytes + PLANE_BYTES * pair)
    if fmt.bits == 5:
        for k, plane in enumerate(planes):
            fifth = b.icmp_unsigned("!=", b.lshr(plane, four), v.constant(v.v64i8, 0))
            v.store(b, b.bitcast(fifth, v.i64), base, 8 * k)
    if fmt.bits == 6:
        for first in (0, 4):
            tops = v.constant(v.v64i8, 0)
            for k in range(4):
                top = b.lshr(planes[first + k], four)
                tops = b.or_(tops, b.shl(top, v.constant(v.v64i8, 2 * k)))
            v.store(b, tops, base, PLANE_BYTES * (N_PLANES // 2 + first // 4))


def load_scales(b: Builder, fmt: WeightFormat, block: Value, unit: Value) -> list[tuple[Value, Value | None]]:
    """(scale, offset or None) of each step of a regrouped unit, float32 (16 rows); all exact.

    block, unit: where they begin.
    """
    scale = v.half_to_float(b, v.load(b, block, 0, v.v16f16))
    offset = v.half_to_float(b, v.load(b, block, 2 * ROWS, v.v16f16)) if fmt.has_offset else None
    if offset is not None and fmt.offset_sign < 0:
        offset = b.fneg(offset)
    if not fmt.is_scaled:
        return [(scale, offset)]
    found = []
    for step in range(fmt.steps):
        own = v.widen_bytes(b, v.load(b, unit, ROWS * step, v16i8), signed=fmt.is_signed)
        own_offset = None
        if offset is not None:
            steps = v.widen_bytes(b, v.load(b, unit, ROWS * (fmt.steps + step), v16i8))
            own_offset = b.fmul(offset, steps)
        found.append((b.fmul(scale, own), own_offset))
    return found


__all__ = ["FORMATS", "Block", "WeightFormat", "load_planes", "load_scales", "store_planes"]
