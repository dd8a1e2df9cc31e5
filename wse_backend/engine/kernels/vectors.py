"""Emit 16-lane LLVM vector code: the few operations the kernels are made of.

Addresses are i64 values; loads and stores are unaligned. LLVM splits the 16 lanes by itself on CPUs
whose registers are narrower. All results are defined by IEEE 754, so they do not depend on the CPU.
"""

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import binding, ir
from numba.core import config

LANES = 16

i1, i8, i16, i32, i64 = (ir.IntType(bits) for bits in (1, 8, 16, 32, 64))
f16, f32 = ir.HalfType(), ir.FloatType()
v16f32 = ir.VectorType(f32, LANES)
v16i32 = ir.VectorType(i32, LANES)
v16i8 = ir.VectorType(i8, LANES)
v16f16 = ir.VectorType(f16, LANES)

Builder = Any  # llvmlite is untyped
Value = Any


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


def iota(typ: Any) -> Value:
    """Return 0, 1, 2, ... in the lanes of the vector type `typ`."""
    return ir.Constant(typ, [typ.element(lane) for lane in range(typ.count)])


# Whether one instruction picks 16 floats out of a register by 16 indices (vpermps of AVX-512).
HAS_LOOKUP = bool(binding.get_host_cpu_features().get("avx512f")) and not config.CPU_NAME


def look_up(b: Builder, table: Value, indices: Value) -> Value:
    """Return table[i & 15] for 16 int32 `indices`; only where HAS_LOOKUP."""
    return call_intrinsic(b, "llvm.x86.avx512.permvar.sf.512", v16f32, (table, indices))


def look_up_pair(b: Builder, low: Value, high: Value, indices: Value) -> Value:
    """Return [low, high][i & 31] for 16 int32 `indices`; only where HAS_LOOKUP."""
    name = "llvm.x86.avx512.vpermi2var.ps.512"
    return call_intrinsic(b, name, v16f32, (low, indices, high))


def maximum(b: Builder, x: Value, y: Value) -> Value:
    """Return the lane-wise maximum (neither side is NaN)."""
    return b.select(b.fcmp_ordered(">", x, y), x, y)


def widen_bytes(b: Builder, bytes_: Value, *, signed: bool = False) -> Value:
    """Convert 16 small integers to float32."""
    if signed:
        return b.sitofp(b.sext(bytes_, v16i32), v16f32)
    # Through i32, so that signed conversion can be used: AVX2 has no unsigned one.
    return b.sitofp(b.zext(bytes_, v16i32), v16f32)


def half_to_float(b: Builder, value: Value) -> Value:
    """Convert float16 (scalar or vector) to float32."""
    typ = ir.VectorType(f32, value.type.count) if isinstance(value.type, ir.VectorType) else f32
    return b.fpext(value, typ)


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
