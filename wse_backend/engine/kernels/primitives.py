"""The small native pieces between the big kernels: calls by address, atomics, a clock, SwiGLU."""

import platform
import sys
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from wse_backend.engine.kernels import vectors as v

_X86 = platform.machine().lower() in ("x86_64", "amd64")


def _call(b: v.Builder, address: Any, args: Any) -> None:
    function = ir.FunctionType(ir.VoidType(), [v.i64] * len(args))
    b.call(b.inttoptr(address, function.as_pointer()), list(args))


@intrinsic
def call_matmul(
    typingctx, address, w, row_bytes, n_blocks, row_start, row_stop, x, x_stride, n, y, y_stride, scratch
):
    """Call a function of `compile_matmul` by its address."""

    def codegen(context: Any, b: v.Builder, signature: Any, args: Any) -> Any:
        _call(b, args[0], args[1:])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 12), codegen


@intrinsic
def call_decode(typingctx, address, w, n_blocks, y):
    """Call a function of `compile_decode` by its address."""

    def codegen(context: Any, b: v.Builder, signature: Any, args: Any) -> Any:
        _call(b, args[0], args[1:])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 4), codegen


@intrinsic
def call_attention(
    typingctx, address, q, table, skip, n_positions, keys, values, block_bytes, extras, scratch, out
):
    """Call a function of `compile_attention` by its address."""

    def codegen(context: Any, b: v.Builder, signature: Any, args: Any) -> Any:
        _call(b, args[0], args[1:])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 11), codegen


@intrinsic
def atomic_add(typingctx, address, amount):
    """Add to the int64 at `address` and return what it was; sequentially consistent."""

    def codegen(context: Any, b: v.Builder, signature: Any, args: Any) -> Any:
        return b.atomic_rmw("add", b.inttoptr(args[0], v.i64.as_pointer()), args[1], "seq_cst")

    return types.int64(types.int64, types.int64), codegen


@intrinsic
def atomic_load(typingctx, address):
    """Return the int64 at `address`; sequentially consistent."""

    def codegen(context: Any, b: v.Builder, signature: Any, args: Any) -> Any:
        return b.load_atomic(b.inttoptr(args[0], v.i64.as_pointer()), "seq_cst", 8)

    return types.int64(types.int64), codegen


@intrinsic
def pause(typingctx):
    """Tell the CPU that this is a spin loop."""

    def codegen(context: Any, b: v.Builder, signature: Any, args: Any) -> Any:
        if _X86:
            v.call_intrinsic(b, "llvm.x86.sse2.pause", ir.VoidType(), ())
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def yield_core(typingctx):
    """Let another thread have this core (POSIX sched_yield; nothing on Windows)."""

    def codegen(context: Any, b: v.Builder, signature: Any, args: Any) -> Any:
        if sys.platform != "win32":
            function = cgutils.get_or_insert_function(b.module, ir.FunctionType(v.i32, []), "sched_yield")
            b.call(function, [])
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def ticks(typingctx):
    """Return a counter that runs at a constant, unknown rate (x86: TSC, ARM: CNTVCT_EL0)."""

    def codegen(context: Any, b: v.Builder, signature: Any, args: Any) -> Any:
        if _X86:
            return v.call_intrinsic(b, "llvm.readcyclecounter", v.i64, ())
        asm = ir.InlineAsm(ir.FunctionType(v.i64, []), "mrs $0, cntvct_el0", "=r", side_effect=True)
        return b.call(asm, [])

    return types.int64(), codegen


@intrinsic
def store_half(typingctx, address, value):
    """Round a float32 to float16 and store it at `address`."""

    def codegen(context: Any, b: v.Builder, signature: Any, args: Any) -> Any:
        v.store(b, v.float_to_half(b, args[1]), args[0])
        return context.get_dummy_value()

    return types.void(types.int64, types.float32), codegen


@intrinsic
def store_float(typingctx, address, value):
    """Store a float32 at `address`."""

    def codegen(context: Any, b: v.Builder, signature: Any, args: Any) -> Any:
        v.store(b, args[1], args[0])
        return context.get_dummy_value()

    return types.void(types.int64, types.float32), codegen


def _gated(b: v.Builder, gate: Any, up: Any, n: Any, product: Any) -> None:
    """gate[i] = product(gate[i], up[i]) for n float32 at two addresses, in whole vectors of 16."""
    with cgutils.for_range(b, b.lshr(b.add(n, v.i64(v.LANES - 1)), v.i64(4))) as loop:
        offset = b.mul(loop.index, v.i64(64))
        g = v.load(b, b.add(gate, offset), 0, v.v16f32)
        u = v.load(b, b.add(up, offset), 0, v.v16f32)
        v.store(b, product(g, u), b.add(gate, offset))


def _sigmoid(b: v.Builder, x: Any) -> Any:
    one = v.constant(v.v16f32, 1.0)
    return b.fdiv(one, b.fadd(one, v.exp(b, b.fneg(x))))


@intrinsic
def swiglu(typingctx, gate, up, n):
    """gate[i] = silu(gate[i]) * up[i] for n float32 at two addresses, in whole vectors of 16.

    silu(x) = x / (1 + e**-x); SwiGLU: Shazeer 2020, arXiv 2002.05202.
    """

    def codegen(context: Any, b: v.Builder, signature: Any, args: Any) -> Any:
        _gated(b, args[0], args[1], args[2], lambda g, u: b.fmul(b.fmul(g, _sigmoid(b, g)), u))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), codegen


@intrinsic
def geglu(typingctx, gate, up, n):
    """gate[i] = gelu(gate[i]) * up[i], as `swiglu`.

    gelu(x) = x / 2 * (1 + tanh(z)) = x * sigmoid(2 z), z = sqrt(2 / pi) * (x + 0.044715 x^3): the
    approximation by tanh (Hendrycks & Gimpel 2016, arXiv 1606.08415), which Gemma was trained with.
    """

    def codegen(context: Any, b: v.Builder, signature: Any, args: Any) -> Any:
        def product(g: Any, u: Any) -> Any:
            cubic = b.fmul(b.fmul(b.fmul(g, g), g), v.constant(v.v16f32, 0.044715))
            twice_z = b.fmul(b.fadd(g, cubic), v.constant(v.v16f32, 1.5957691216057308))
            return b.fmul(b.fmul(g, _sigmoid(b, twice_z)), u)

        _gated(b, args[0], args[1], args[2], product)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), codegen


@intrinsic
def clamped_swiglu(typingctx, gate, up, n):
    """gate[i] = g * sigmoid(1.702 g) * (u + 1), g = min(gate[i], 7), u = up[i] within -7 and 7; as `swiglu`.

    OpenAI's gpt-oss, model.py, `swiglu`.
    """

    def codegen(context: Any, b: v.Builder, signature: Any, args: Any) -> Any:
        limit, one = v.constant(v.v16f32, 7.0), v.constant(v.v16f32, 1.0)

        def product(g: Any, u: Any) -> Any:
            g = v.minimum(b, g, limit)
            u = v.maximum(b, v.minimum(b, u, limit), b.fneg(limit))
            sigmoid = _sigmoid(b, b.fmul(g, v.constant(v.v16f32, 1.702)))
            return b.fmul(b.fmul(g, sigmoid), b.fadd(u, one))

        _gated(b, args[0], args[1], args[2], product)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), codegen


def emit_softcap(b: v.Builder, x: Any, cap: Any) -> Any:
    """cap * tanh(x / cap), by tanh(y) = 1 - 2 / (e**2y + 1); x, cap: 16 float32."""
    one, two = v.constant(v.v16f32, 1.0), v.constant(v.v16f32, 2.0)
    power = v.exp(b, b.fmul(two, b.fdiv(x, cap)))
    return b.fmul(cap, b.fsub(one, b.fdiv(two, b.fadd(power, one))))


@intrinsic
def softcap(typingctx, x, n, cap):
    """x[i] = cap * tanh(x[i] / cap) for n float32 at address `x`, in whole vectors and then one by one."""

    def codegen(context: Any, b: v.Builder, signature: Any, args: Any) -> Any:
        x, n, cap = args
        caps = v.splat(b, cap)
        whole = b.lshr(n, v.i64(4))
        with cgutils.for_range(b, whole) as loop:
            at = b.add(x, b.mul(loop.index, v.i64(64)))
            v.store(b, emit_softcap(b, v.load(b, at, 0, v.v16f32), caps), at)
        done = b.shl(whole, v.i64(4))
        with cgutils.for_range(b, b.sub(n, done)) as loop:
            at = b.add(x, b.mul(b.add(done, loop.index), v.i64(4)))
            capped = emit_softcap(b, v.splat(b, v.load(b, at, 0, v.f32)), caps)
            v.store(b, b.extract_element(capped, v.i32(0)), at)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.float32), codegen


@intrinsic
def exp_of(typingctx, x):
    """Return e**x for one float32, by `vectors.exp`."""

    def codegen(context: Any, b: v.Builder, signature: Any, args: Any) -> Any:
        return b.extract_element(v.exp(b, v.splat(b, args[0])), v.i32(0))

    return types.float32(types.float32), codegen


@intrinsic
def sum_of_squares(typingctx, x, n):
    """Return the sum of squares of n float32 (a multiple of 16) at address `x`."""

    def codegen(context: Any, b: v.Builder, signature: Any, args: Any) -> Any:
        x, n = args
        acc = cgutils.alloca_once(b, v.v16f32)
        b.store(v.constant(v.v16f32, 0.0), acc)
        with cgutils.for_range(b, b.lshr(n, v.i64(4))) as loop:
            value = v.load(b, b.add(x, b.mul(loop.index, v.i64(64))), 0, v.v16f32)
            b.store(v.fma(b, value, value, b.load(acc)), acc)
        return v.reduce_tree(b, [b.load(acc)], b.fadd)[0]

    return types.float32(types.int64, types.int64), codegen
