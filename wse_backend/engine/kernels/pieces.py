"""What the steps are made of: units of work, products of some weight rows, a row brought into integers."""

from typing import Any

import numpy as np
from numba import njit

from wse_backend.engine.kernels.activations import NOT_FINITE, quantize
from wse_backend.engine.kernels.arguments import GELU, SILU, Activations, Batch, Matrix, Team, fault
from wse_backend.engine.kernels.matmul import FEW_TOKENS
from wse_backend.engine.kernels.primitives import (
    call_matmul,
    clamped_swiglu,
    geglu,
    sum_of_squares,
    swiglu,
)
from wse_backend.engine.kernels.team import INNER, claim, finish, settle

# Weight rows claimed at a time, see unit_rows: whole blocks of activations of the next matrix. For few tokens
# small units let the threads end together.
UNIT_SIZES = (96, 128, 160)
SMALL_UNIT = 32
UNIT_TOKENS = 8  # batch rows claimed at a time where each row is little work, and there are many

fault_at = njit(**INNER)(fault)


def unit_rows(n_rows: int, n_threads: int) -> int:
    """How many weight rows of a matrix with `n_rows` to claim at a time, so that all threads end together."""

    def longest(size: int) -> int:  # rows of the thread with most units
        n_units = -(-n_rows // size)
        return -(-n_units // n_threads) * size

    return min(UNIT_SIZES, key=longest)


@njit(**INNER)
def matrix(m: Any) -> Matrix:
    """The matrix whose fields an array holds: model.matrices[layer, Q] and others."""
    return Matrix(m[0], m[1], m[2], m[3], m[4], m[5], m[6])


@njit(**INNER)
def units(n: int, size: int) -> int:
    """How many units of `size` hold `n`."""
    return (n + size - 1) // size


@njit(**INNER)
def unit_tokens(n: int) -> int:
    """How many batch rows to claim at a time where each is little work."""
    return 1 if n <= FEW_TOKENS else UNIT_TOKENS


@njit(**INNER)
def unit_size(matrix: Matrix, n: int) -> int:
    """How many weight rows to claim at a time, for a batch of `n` rows."""
    size: int = SMALL_UNIT if n <= FEW_TOKENS else matrix.unit_rows
    return size


@njit(**INNER)
def units_of(matrix: Matrix, n: int) -> int:
    """How many units a product of `n` rows with a matrix has."""
    return units(matrix.n_rows, unit_size(matrix, n)) if n > 0 else 0


@njit(**INNER)
def multiply_rows(
    m: Matrix, start: int, stop: int, x: Activations, first: int, n: int, y: Any, column: int, scratch: int
) -> None:
    """y[first + t, column + r] = x[first + t] . m[r] for t < n, start <= r < stop."""
    source, stride = x.records.ctypes.data, x.records.strides[0]
    if m.takes_floats == 1:
        source, stride = x.values.ctypes.data, x.values.strides[0]
    target = y.ctypes.data + first * y.strides[0] + column * 4
    call_matmul(
        m.function, m.data, m.group_bytes, m.n_blocks, start, stop, source + first * stride, stride, n,
        target, y.strides[0], scratch,
    )  # fmt: skip


@njit(**INNER)
def multiply_unit(m: Matrix, unit: int, x: Activations, n: int, y: Any, column: int, scratch: int) -> None:
    """y[:n, column + r] = x[:n] . m[r] for the weight rows r of one unit."""
    start = unit * unit_size(m, n)
    stop = min(start + unit_size(m, n), m.n_rows)
    multiply_rows(m, start, stop, x, 0, n, y, column, scratch)


@njit(**INNER)
def multiply(m: Matrix, x: Activations, n: int, y: Any, team: Team, phase: int, scratch: int) -> None:
    """A whole step: y[:n] = x[:n] . m, and nothing is done with it yet."""
    n_units = units_of(m, n)
    unit = claim(team, phase, n_units)
    while unit < n_units:
        multiply_unit(m, unit, x, n, y, 0, scratch)
        finish(team, phase)
        unit = claim(team, phase, n_units)
    settle(team, phase, n_units)


@njit(**INNER)
def rms_norm(x: Any, weight: Any, dim: int, eps: float, out: Any) -> None:
    """out = x / sqrt(mean(x^2) + eps) * weight, all float32 (dim,), padded. Zhang & Sennrich 2019, eq. 4.

    Without a norm, which `weight` of size 0 says, out = x.
    """
    if weight.size == 0:
        for i in range(x.size):
            out[i] = x[i]
        return
    mean = sum_of_squares(x.ctypes.data, x.size) / np.float32(dim)
    scale = np.float32(1.0) / np.sqrt(mean + np.float32(eps))
    if mean == np.inf:  # the row's numbers are too large for float32; zeros would hide it
        scale = np.float32(np.nan)
    for i in range(x.size):
        out[i] = x[i] * scale * weight[i]


@njit(**INNER)
def quantize_row(x: Activations, i: int, column: int, count: int, batch: Batch, row: int, place: int) -> None:
    """Bring columns of row `i` into its record; note `place` for batch row `row` when they are not finite."""
    bits = quantize(
        x.values.ctypes.data + i * x.values.strides[0],
        x.records.ctypes.data + i * x.records.strides[0],
        column,
        count,
    )
    if bits >= NOT_FINITE and batch.faults[row] == 0:
        batch.faults[row] = place


@njit(**INNER)
def gate_row(
    activation: int, gate: Activations, up: Any, i: int, column: int, count: int, batch: Batch, row: int,
    place: int,
) -> None:  # fmt: skip
    """gate[i] = activation(gate[i]) * up[i] in some columns, as integers too; see quantize_row."""
    gate_at = gate.values.ctypes.data + i * gate.values.strides[0] + column * 4
    up_at = up.ctypes.data + i * up.strides[0] + column * 4
    if activation == SILU:
        swiglu(gate_at, up_at, count)
    elif activation == GELU:
        geglu(gate_at, up_at, count)
    else:
        clamped_swiglu(gate_at, up_at, count)
    quantize_row(gate, i, column, count, batch, row, place)
