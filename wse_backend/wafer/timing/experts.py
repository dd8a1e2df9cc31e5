"""Work of one layer's FFN on the critical PE: dense, or a mixture of experts in either placement.

Experts in blocks (see routing.py), on a region of columns x rows PEs with E experts:

- a block has columns / ceil(E / c) x rows / c PEs, in c = round(sqrt(E)) bands;
- in decode every column holds the whole vector, so it travels along the rows only; the results travel back
  and are summed along the columns with one more allreduce;
- in prefill a token's vector lies in one row: all-to-all, up to columns + rows hops, twice;
- the busiest link is either one into the busiest block (its shorter side has as many links as PEs) or one
  over the middle of the region, which half of all vectors cross;
- destinations beyond the router's paths need a routing stage in between (assumed: one for each
  `routing_paths`).

Nobody has published a mixture of experts on a wafer: all of this is modelled, none of it measured.
"""

from __future__ import annotations

import math

import numpy as np

from wse_backend.errors import InvalidParams
from wse_backend.wafer.routing import Routing
from wse_backend.wafer.shapes import ModelShape
from wse_backend.wafer.timing.ops import (
    Count,
    Mesh,
    OpCount,
    Whole,
    allreduce,
    chained,
    gemm,
    gemv,
    local,
    merged,
)


def expert_bands(n_experts: int) -> int:
    """Bands of blocks that a region is cut into."""
    return max(1, round(math.sqrt(n_experts)))


def block_sides(n_experts: int, columns: Whole, rows: Whole) -> tuple[Whole, Whole]:
    """Columns and rows of the smallest expert's block; 0 where the region has no PE for every expert."""
    bands = expert_bands(n_experts)
    return columns // -(-n_experts // bands), rows // bands


def decode_ffn(shape: ModelShape, mesh: Mesh, b: Count, routing: Routing) -> list[OpCount]:
    """Gate and up, activation, down for `b` tokens; with experts the router before, and their traffic."""
    if not shape.n_experts:
        return _decode_gated(shape.hidden_dim, shape.dim, mesh, b)
    router = gemv(mesh, "router", "ffn", mesh.y(shape.dim), (mesh.x(shape.n_experts),), mesh.rows, True, b)
    ops = [merged(router, OpCount("", "", locals=np.ones(())))]
    if routing.placement == "blocks":
        hot = _hottest(shape, b, routing)
        inside = _decode_gated(shape.hidden_dim, shape.dim, _block(shape, mesh), hot)
        send, gather = _decode_traffic(shape, mesh, b, hot)
        experts = [send, *inside, gather]
    else:
        experts = _decode_gated(shape.hidden_dim, shape.dim, mesh, b * shape.n_experts_active)
    return [*ops, *_beside_shared(experts, _decode_gated(shape.shared_hidden_dim, shape.dim, mesh, b), shape)]


def prefill_ffn(shape: ModelShape, mesh: Mesh, length: Whole, routing: Routing) -> list[OpCount]:
    """The same for a prompt. Spread experts are one grouped product: all their tiles share the P steps."""
    if not shape.n_experts:
        return _prefill_gated(shape.hidden_dim, shape.dim, mesh, length, np.ones(()))
    every = length.astype(np.float64)
    router = gemm(mesh, "router", "ffn", mesh.y(length), shape.dim, (mesh.x(shape.n_experts),), np.ones(()))
    ops = [merged(router, OpCount("", "", locals=np.ones(())))]
    if routing.placement == "blocks":
        hot = _hottest(shape, every, routing)
        inside = _prefill_gated(
            shape.hidden_dim, shape.dim, _block(shape, mesh), hot.astype(np.int64), np.ones(())
        )
        sent = _prefill_traffic(shape, mesh, every, hot)
        experts = [sent, *inside, sent]
    else:
        share = shape.n_experts_active / shape.n_experts
        working = np.minimum(shape.n_experts, every * shape.n_experts_active)
        each = np.ceil(length * share).astype(np.int64)
        experts = _prefill_gated(shape.hidden_dim, shape.dim, mesh, each, working)
    shared = _prefill_gated(max(shape.shared_hidden_dim, 1), shape.dim, mesh, length, np.ones(()))
    return [*ops, *_beside_shared(experts, shared, shape)]


def check_blocks(shape: ModelShape, columns: int, rows: int, routing: Routing) -> None:
    """Raise InvalidParams when a region has no block of PEs for every expert."""
    if shape.n_experts and routing.placement == "blocks":
        wide, high = block_sides(shape.n_experts, np.asarray(columns), np.asarray(rows))
        if not (wide and high):
            bands = expert_bands(shape.n_experts)
            allowed = f"at most {columns * bands:,} in {bands} bands of a region of {columns} x {rows} PEs"
            if high < 1:
                allowed = f"fewer: {bands} bands of blocks do not fit into {rows} rows of PEs"
            raise InvalidParams("n_experts", shape.n_experts, allowed)


def _decode_gated(hidden_dim: int, dim: int, mesh: Mesh, times: Count) -> list[OpCount]:
    hidden = mesh.x(hidden_dim)
    return [
        gemv(mesh, "gate and up", "ffn", mesh.y(dim), (hidden, hidden), mesh.rows, True, times),
        local("activation", "ffn"),
        gemv(mesh, "down", "ffn", hidden, (mesh.y(dim),), mesh.columns, True, times),
    ]


def _prefill_gated(hidden_dim: int, dim: int, mesh: Mesh, length: Whole, copies: Count) -> list[OpCount]:
    left, hidden = mesh.y(length), mesh.x(hidden_dim)
    return [
        gemm(mesh, "gate and up", "ffn", left, dim, (hidden, hidden), copies),
        local("activation", "ffn", left * hidden * copies),
        gemm(mesh, "down", "ffn", left, hidden_dim, (mesh.x(dim),), copies),
    ]


def _beside_shared(experts: list[OpCount], shared: list[OpCount], shape: ModelShape) -> list[OpCount]:
    """The expert that every token passes, on the whole region; its products share the experts' allreduces."""
    if not shape.shared_hidden_dim:
        return _with_traffic(experts)
    by_name = {op.name: op for op in shared if op.name != "activation"}
    return _with_traffic([merged(op, by_name[op.name]) if op.name in by_name else op for op in experts])


def _with_traffic(experts: list[OpCount]) -> list[OpCount]:
    """Both ways of the all-to-all as one operation before the products, so that both placements read
    alike."""
    ways = [op for op in experts if op.name == "all-to-all"]
    rest = [op for op in experts if op.name != "all-to-all"]
    return [chained("all-to-all", "ffn", ways), *rest] if ways else rest


def _block(shape: ModelShape, mesh: Mesh) -> Mesh:
    """The mesh of the smallest block; no PE at all counts as one, and check_blocks refuses it."""
    columns, rows = block_sides(shape.n_experts, mesh.columns, mesh.rows)
    return Mesh(np.maximum(columns, 1), np.maximum(rows, 1), mesh.word_elements, mesh.routing_paths)


def _hottest(shape: ModelShape, tokens: Count, routing: Routing) -> Count:
    """Tokens of the busiest expert: no fewer than one, no more than there are."""
    mean = tokens * shape.n_experts_active / shape.n_experts
    return np.minimum(np.maximum(np.ceil(mean * routing.imbalance), 1.0), tokens)


def _words(shape: ModelShape, mesh: Mesh, tokens: Count, hot: Count) -> Count:
    """32-bit words through the busiest link, one way."""
    block = _block(shape, mesh)
    vector = np.ceil(shape.dim / mesh.word_elements)
    entry = hot * vector / np.minimum(block.columns, block.rows)
    middle = tokens * shape.n_experts_active * vector / 2 / np.minimum(mesh.columns, mesh.rows)
    return np.asarray(np.maximum(entry, middle))


def _relays(shape: ModelShape, mesh: Mesh) -> float:
    """Routing stages that the destinations of one way need: bands, then blocks of a band."""
    bands = expert_bands(shape.n_experts)
    return float(np.ceil((bands + np.ceil(shape.n_experts / bands)) / mesh.routing_paths))


def _decode_traffic(shape: ModelShape, mesh: Mesh, b: Count, hot: Count) -> tuple[OpCount, OpCount]:
    words, relays = _words(shape, mesh, b, hot), _relays(shape, mesh)
    hops, stages = allreduce(mesh.columns)
    rows = mesh.rows.astype(np.float64)
    send = OpCount("all-to-all", "ffn", hops=rows, stages=np.asarray(relays), words=words)
    return send, OpCount("all-to-all", "ffn", hops=rows + hops, stages=stages + relays, words=words)


def _prefill_traffic(shape: ModelShape, mesh: Mesh, tokens: Count, hot: Count) -> OpCount:
    far = (mesh.columns + mesh.rows).astype(np.float64)
    words = _words(shape, mesh, tokens, hot)
    return OpCount("all-to-all", "ffn", hops=far, stages=np.asarray(_relays(shape, mesh)), words=words)
