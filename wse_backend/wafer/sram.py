"""Bytes that the tiles of a model take in the SRAM of the critical PE, and rectangles to draw them in."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np

from wse_backend.wafer.shapes import BYTES_PER_VALUE, ModelShape
from wse_backend.wafer.timing.experts import block_sides


def layer_weight_bytes(shape: ModelShape, grid: tuple[int, int], experts: str = "spread") -> int:
    """Weights of one layer of this kind per PE: every matrix in tiles of ceil(rows / P) x ceil(columns / P).

    experts: "spread" tiles each over the whole grid, "blocks" gives each a block of it (routing.py).
    """
    dim = _tile(shape.dim, grid[1])
    values = _attention_values(shape, grid) + 2 * dim
    if not shape.n_experts:
        return (values + 3 * dim * _tile(shape.hidden_dim, grid[0])) * BYTES_PER_VALUE
    if experts == "blocks":
        wide, high = block_sides(shape.n_experts, np.asarray(grid[0]), np.asarray(grid[1]))
        block = (max(int(wide), 1), max(int(high), 1))
        values += 3 * _tile(shape.dim, block[1]) * _tile(shape.hidden_dim, block[0])
    else:
        values += 3 * dim * _tile(shape.hidden_dim, grid[0]) * shape.n_experts
    values += 3 * dim * _tile(shape.shared_hidden_dim, grid[0]) + dim * _tile(shape.n_experts, grid[0])
    return values * BYTES_PER_VALUE


def _attention_values(shape: ModelShape, grid: tuple[int, int]) -> int:
    """Values of one layer's projections per PE."""
    columns, rows = grid
    dim, output = _tile(shape.dim, rows), _tile(shape.output_dim, columns)
    if not shape.kv_rank:
        return dim * (_tile(shape.q_dim, columns) + 2 * _tile(shape.kv_dim, columns)) + output * dim
    nope = shape.n_heads * (shape.head_dim - shape.rope_dim)
    down = dim * (_tile(shape.q_rank, columns) + _tile(shape.kv_rank + shape.rope_dim, columns))
    up = _tile(shape.q_rank, rows) * _tile(shape.q_dim, columns)
    keys = _tile(nope, rows) * _tile(shape.kv_rank, columns)
    return down + up + keys + _tile(shape.kv_rank, rows) * output + output * dim


def cache_bytes_per_slot(shape: ModelShape, grid: tuple[int, int]) -> int:
    """Keys and values of one token and one layer, in the PEs of the row that holds the token."""
    if shape.kv_rank:
        return _tile(shape.cache_dim, grid[0]) * BYTES_PER_VALUE
    return 2 * _tile(shape.kv_dim, grid[0]) * BYTES_PER_VALUE


def buffer_bytes(shape: ModelShape, grid: tuple[int, int]) -> int:
    """Activations between two operations of a decode step, without the scores (see SCORE_BYTES).

    Input, norm, residual and result; Q, K, V and the attention's output; gate, up and their product.
    """
    dim, q, kv = _tile(shape.dim, grid[1]), _tile(shape.q_dim, grid[0]), _tile(shape.kv_dim, grid[0])
    if shape.kv_rank:
        kv = _tile(shape.cache_dim, grid[0])
    hidden = max(_tile(shape.hidden_dim, grid[0]), _tile(shape.shared_hidden_dim, grid[0]))
    return (4 * dim + 2 * q + 2 * kv + 3 * hidden) * BYTES_PER_VALUE


SCORE_BYTES = 2 * BYTES_PER_VALUE  # per cached token of a PE: the score and its exponential


def _tile(n: int, pes: int) -> int:
    return -(-n // pes)


def bands(columns: int, rows: int, sizes: Sequence[int], count: int) -> list[tuple[int, int, int, int]]:
    """Cut a rectangle of columns x rows into regions (x, y, width, height) in `count` bands.

    sizes: what each region is to hold; areas go with them. Serpentine order: every second band runs from
    right to left, so that consecutive regions touch. A region may come out empty when sizes differ much.
    """
    until = [0, *accumulate(sizes)]
    total, n = until[-1], len(sizes)
    starts = [max(i for i in range(n + 1) if until[i] * count <= total * band) for band in range(count)]
    regions = []
    for band, (first, last) in enumerate(pairwise([*starts, n])):
        y, y_end = rows * until[first] // total, rows * until[last] // total
        held = until[last] - until[first]
        edges = [columns * (until[i] - until[first]) // max(held, 1) for i in range(first, last + 1)]
        row = [(left, y, right - left, y_end - y) for left, right in pairwise(edges)]
        regions += row if band % 2 == 0 else row[::-1]
    return regions
