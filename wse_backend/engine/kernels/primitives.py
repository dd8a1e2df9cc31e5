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
def call_attention(typingctx, address, q, table, n_positions, keys, values, block_bytes, scratch, out):
    """Call a function of `compile_attention` by its address."""

    def codegen(context: Any, b: v.Builder, signature: Any, args: Any) -> Any:
        _call(b, args[0], args[1:])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 9), codegen


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


@intrinsic
def swiglu(typingctx, gate, up, n):
    """gate[i] = silu(gate[i]) * up[i] for n float32 at two addresses, in whole vectors of 16.

    silu(x) = x / (1 + e**-x); SwiGLU: Shazeer 2020, arXiv 2002.05202.
    """

    def codegen(context: Any, b: v.Builder, signature: Any, args: Any) -> Any:
        gate, up, n = args
        one = v.constant(v.v16f32, 1.0)
        with cgutils.for_range(b, b.lshr(b.add(n, v.i64(v.LANES - 1)), v.i64(4))) as loop:
            offset = b.mul(loop.index, v.i64(64))
            g = v.load(b, b.add(gate, offset), 0, v.v16f32)
            u = v.load(b, b.add(up, offset), 0, v.v16f32)
            sigmoid = b.fdiv(one, b.fadd(one, v.exp(b, b.fneg(g))))
            v.store(b, b.fmul(b.fmul(g, sigmoid), u), b.add(gate, offset))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), codegen


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
