"""Bytes that the tiles of a model take in the SRAM of the critical PE, and rectangles to draw them in."""

from __future__ import annotations

from itertools import pairwise

from wse_backend.wafer.shapes import BYTES_PER_VALUE, ModelShape


def layer_weight_bytes(shape: ModelShape, grid: tuple[int, int]) -> int:
    """Weights of one layer per PE: every matrix in tiles of ceil(rows / P) x ceil(columns / P)."""
    dim, q, kv = _tile(shape.dim, grid[1]), _tile(shape.q_dim, grid[0]), _tile(shape.kv_dim, grid[0])
    values = dim * (q + 2 * kv) + q * dim + 2 * dim
    hidden, copies = _tile(shape.hidden_dim, grid[0]), max(shape.n_experts, 1)
    values += 3 * dim * hidden * copies
    if shape.n_experts:
        shared = _tile(shape.shared_hidden_dim, grid[0])
        values += 3 * dim * shared + dim * _tile(shape.n_experts, grid[0])
    return values * BYTES_PER_VALUE


def cache_bytes_per_slot(shape: ModelShape, grid: tuple[int, int]) -> int:
    """Keys and values of one token and one layer, in the PEs of the row that holds the token."""
    return 2 * _tile(shape.kv_dim, grid[0]) * BYTES_PER_VALUE


def buffer_bytes(shape: ModelShape, grid: tuple[int, int]) -> int:
    """Activations between two operations of a decode step, without the scores (see SCORE_BYTES).

    Input, norm, residual and result; Q, K, V and the attention's output; gate, up and their product.
    """
    dim, q, kv = _tile(shape.dim, grid[1]), _tile(shape.q_dim, grid[0]), _tile(shape.kv_dim, grid[0])
    hidden = max(_tile(shape.hidden_dim, grid[0]), _tile(shape.shared_hidden_dim, grid[0]))
    return (4 * dim + 2 * q + 2 * kv + 3 * hidden) * BYTES_PER_VALUE


SCORE_BYTES = 2 * BYTES_PER_VALUE  # per cached token of a PE: the score and its exponential


def _tile(n: int, pes: int) -> int:
    return -(-n // pes)


def bands(columns: int, rows: int, n: int, count: int) -> list[tuple[int, int, int, int]]:
    """Cut a rectangle of columns x rows into `n` regions (x, y, width, height) in `count` bands.

    Serpentine order: every second band runs from right to left, so that consecutive regions touch. A band's
    height goes with the number of its regions. 1 <= count <= n; n <= count * columns; n <= rows * columns.
    """
    regions = []
    for band in range(count):
        first, last = n * band // count, n * (band + 1) // count
        y, y_end = rows * first // n, rows * last // n
        edges = [columns * i // (last - first) for i in range(last - first + 1)]
        row = [(left, y, right - left, y_end - y) for left, right in pairwise(edges)]
        regions += row if band % 2 == 0 else row[::-1]
    return regions
