"""Emit LLVM vector code of 16 lanes: the few operations the kernels are made of.

Addresses are i64 values; loads and stores are unaligned. LLVM splits the lanes by itself on processors whose
registers are narrower. Every operation is exact or rounded as IEEE 754 says, in an order that is written
down, and none calls a platform's libm for a value that libms disagree about: results do not depend on the
processor.
"""

import platform
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba.core import config
from numba.core.codegen import get_host_cpu_features

LANES = 16

i1, i8, i16, i32, i64 = (ir.IntType(bits) for bits in (1, 8, 16, 32, 64))
f16, f32 = ir.HalfType(), ir.FloatType()
v16f32 = ir.VectorType(f32, LANES)
v16i32 = ir.VectorType(i32, LANES)
v16i8 = ir.VectorType(i8, LANES)
v16i16 = ir.VectorType(i16, LANES)
v16f16 = ir.VectorType(f16, LANES)
v64i8 = ir.VectorType(i8, 4 * LANES)  # 16 rows of 4 neighbouring columns

Builder = Any  # llvmlite is untyped
Value = Any

_IS_X86 = platform.machine().lower() in ("x86_64", "amd64", "i686")


def at(b: Builder, base: Value, offset_bytes: int) -> Value:
    """Return the address `base + offset_bytes`."""
    return b.add(base, i64(offset_bytes)) if offset_bytes else base


def load(b: Builder, base: Value, offset_bytes: int, typ: Any, align: int = 1) -> Value:
    """Load one `typ` from `base + offset_bytes`."""
    return b.load(b.inttoptr(at(b, base, offset_bytes), typ.as_pointer()), align=align)


def store(b: Builder, value: Value, base: Value, offset_bytes: int = 0) -> None:
    """Store `value` to `base + offset_bytes`."""
    b.store(value, b.inttoptr(at(b, base, offset_bytes), value.type.as_pointer()), align=1)


def prefetch(b: Builder, address: Value) -> None:
    """Ask the CPU to bring the cache line of `address` near; harmless beyond the end of a mapping."""
    pointer = b.inttoptr(address, i8.as_pointer())
    call_intrinsic(b, "llvm.prefetch.p0", ir.VoidType(), (pointer, i32(0), i32(3), i32(1)))


def constant(typ: Any, value: float) -> Value:
    """Return `value` in every lane of the vector type `typ`."""
    return ir.Constant(typ, [value] * typ.count)


def splat(b: Builder, scalar: Value, count: int = LANES) -> Value:
    """Return a vector whose lanes all hold `scalar`."""
    typ = ir.VectorType(scalar.type, count)
    single = b.insert_element(ir.Constant(typ, ir.Undefined), scalar, i32(0))
    return b.shuffle_vector(
        single, ir.Constant(typ, ir.Undefined), ir.Constant(ir.VectorType(i32, count), [0] * count)
    )


def shuffle(b: Builder, left: Value, right: Value, lanes: Sequence[int]) -> Value:
    """Pick `lanes` from the concatenation of two equally long vectors."""
    return b.shuffle_vector(left, right, ir.Constant(ir.VectorType(i32, len(lanes)), list(lanes)))


def call_intrinsic(b: Builder, name: str, result: Any, args: Sequence[Value]) -> Value:
    """Call the LLVM intrinsic `name`, declaring it in the module when it is not there yet."""
    function = b.module.globals.get(name)
    if function is None:
        function = ir.Function(b.module, ir.FunctionType(result, [arg.type for arg in args]), name)
    return b.call(function, list(args))


def fma(b: Builder, x: Value, y: Value, z: Value) -> Value:
    """Return x * y + z, rounded once."""
    return call_intrinsic(b, "llvm.fma.v16f32", v16f32, (x, y, z))


def target_has(feature: str) -> bool:
    """Whether the processor that numba compiles for has `feature`, by LLVM's name.

    That is this machine, unless NUMBA_CPU_FEATURES or NUMBA_CPU_NAME=generic says otherwise.
    """
    features = config.CPU_FEATURES if config.CPU_FEATURES is not None else get_host_cpu_features()
    return f"+{feature}" in features.split(",")


def maximum(b: Builder, x: Value, y: Value) -> Value:
    """Return the lane-wise maximum (neither side is NaN)."""
    return b.select(b.fcmp_ordered(">", x, y), x, y)


def minimum(b: Builder, x: Value, y: Value) -> Value:
    """Return the lane-wise minimum (neither side is NaN)."""
    return b.select(b.fcmp_ordered("<", x, y), x, y)


def widen_bytes(b: Builder, bytes_: Value, *, signed: bool = False) -> Value:
    """Convert 16 small integers to float32."""
    if signed:
        return b.sitofp(b.sext(bytes_, v16i32), v16f32)
    # Through i32, so that signed conversion can be used: AVX2 has no unsigned one.
    return b.sitofp(b.zext(bytes_, v16i32), v16f32)


def _like(scalar: Any, value: Value) -> Any:
    """`scalar`, or the vector of it with as many lanes as `value`."""
    return ir.VectorType(scalar, value.type.count) if isinstance(value.type, ir.VectorType) else scalar


def _number(typ: Any, value: float) -> Value:
    return ir.Constant(typ, [value] * typ.count if isinstance(typ, ir.VectorType) else value)


def half_to_float(b: Builder, value: Value) -> Value:
    """Convert float16 (scalar or vector) to float32; exact.

    Where the processor has no instruction for it, by hand: shifted into place the exponent is 112 too small,
    which one multiplication by a power of two mends, subnormals too.
    """
    if not _IS_X86 or target_has("f16c"):
        return b.fpext(value, _like(f32, value))
    word, real = _like(i32, value), _like(f32, value)
    bits = b.zext(b.bitcast(value, _like(i16, value)), word)
    size = b.shl(b.and_(bits, _number(word, 0x7FFF)), _number(word, 13))
    scaled = b.bitcast(b.fmul(b.bitcast(size, real), _number(real, 2.0**112)), word)
    is_special = b.icmp_unsigned(">=", size, _number(word, 0x7C00 << 13))  # infinity and NaN
    scaled = b.select(is_special, b.or_(size, _number(word, 0x7F800000)), scaled)
    sign = b.shl(b.and_(bits, _number(word, 0x8000)), _number(word, 16))
    return b.bitcast(b.or_(scaled, sign), real)


def float_to_half(b: Builder, value: Value) -> Value:
    """Round a float32 to float16, ties to even; beyond the largest to infinity. NaN stays NaN.

    By hand where there is no instruction: adding half a unit of the last place that stays, or for
    subnormals a number whose own last place is theirs, lets float32's rounding do the work.
    """
    if not _IS_X86 or target_has("f16c"):
        return b.fptrunc(value, f16)
    bits = b.bitcast(value, i32)
    sign = b.and_(bits, i32(0x80000000))
    size = b.xor(bits, sign)
    magic = i32(((127 - 15) + (23 - 10) + 1) << 23)
    shifted = b.bitcast(b.fadd(b.bitcast(size, f32), b.bitcast(magic, f32)), i32)
    small = b.sub(shifted, magic)
    odd = b.and_(b.lshr(size, i32(13)), i32(1))
    normal = b.lshr(b.add(b.add(size, i32(((15 - 127) << 23) + 0xFFF)), odd), i32(13))
    special = b.select(b.icmp_unsigned(">", size, i32(0x7F800000)), i32(0x7E00), i32(0x7C00))
    half = b.select(b.icmp_unsigned("<", size, i32(113 << 23)), small, normal)
    half = b.select(b.icmp_unsigned(">=", size, i32((127 + 16) << 23)), special, half)
    return b.bitcast(b.trunc(b.or_(half, b.lshr(sign, i32(16))), i16), f16)


def reduce_tree(b: Builder, parts: Sequence[Value], combine: Callable[[Value, Value], Value]) -> list[Value]:
    """Reduce the 16 lanes of each vector to a scalar: lane l with l + n/2, until one lane is left.

    Up to 16 vectors share registers on the way, which is cheaper than one at a time and combines the very
    same numbers in the very same order.
    """
    scalars: list[Value] = []
    while len(scalars) < len(parts):
        left = len(parts) - len(scalars)
        count = min(LANES, 1 << (left.bit_length() - 1))  # the largest power of two that still fits
        scalars += _reduce_together(b, parts[len(scalars) : len(scalars) + count], combine)
    return scalars


def _reduce_together(
    b: Builder, parts: Sequence[Value], combine: Callable[[Value, Value], Value]
) -> list[Value]:
    """`reduce_tree` for a power of two of vectors: a register holds `width` lanes of each of several."""
    registers, width = list(parts), LANES
    while width > 1:
        half, count = width // 2, registers[0].type.count
        low = [group + lane for group in range(0, count, width) for lane in range(half)]
        if len(registers) > 1:
            low += [count + lane for lane in low]
            pairs = list(zip(registers[::2], registers[1::2], strict=True))
        else:
            pairs = [(registers[0], registers[0])]
        high = [lane + half for lane in low]
        registers = [combine(shuffle(b, x, y, low), shuffle(b, x, y, high)) for x, y in pairs]
        width = half
    return [
        b.extract_element(register, i32(lane))
        for register in registers
        for lane in range(register.type.count)
    ]


def exp(b: Builder, x: Value) -> Value:
    """Return e**x for 16 float32 lanes with x <= 0 or moderate, to about 2 units in the last place.

    x = n ln 2 + r with |r| <= ln 2 / 2 (Cody & Waite 1980, two-part ln 2), a degree-6 polynomial for
    e**r (Cephes expf coefficients, S. Moshier 1989), then 2**n through the exponent bits.
    Below -87.3 the result is 0 (flushed), above 88.3 it is capped: callers stay far below.
    """
    x = maximum(b, x, constant(v16f32, -87.33654))
    x = b.select(b.fcmp_ordered("<", x, constant(v16f32, 88.0)), x, constant(v16f32, 88.0))
    n = call_intrinsic(b, "llvm.rint.v16f32", v16f32, (b.fmul(x, constant(v16f32, 1.44269504088896341)),))
    r = fma(b, n, constant(v16f32, -0.693359375), x)
    r = fma(b, n, constant(v16f32, 2.12194440e-4), r)
    poly = constant(v16f32, 1.9875691500e-4)
    for coefficient in (1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1):
        poly = fma(b, poly, r, constant(v16f32, coefficient))
    poly = fma(b, poly, b.fmul(r, r), r)
    poly = b.fadd(poly, constant(v16f32, 1.0))
    exponent = b.shl(b.add(b.fptosi(n, v16i32), constant(v16i32, 127)), constant(v16i32, 23))
    return b.fmul(poly, b.bitcast(exponent, v16f32))
