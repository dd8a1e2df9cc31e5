"""How much work each operation is for the critical PE: the PE with the largest tiles.

The mapping is the one that the reference measurements used (WaferLLM, OSDI 2025, arXiv 2502.04563, and its
published kernels): every layer in turn is tiled over one grid of columns x rows PEs, tiles of ceil(dim / P).

- Decode is GEMV with a K-tree allreduce, K = 2: groups of sqrt(P) PEs first, then their roots. P hops to the
  root and back, K * P^(1/K) / 2 = sqrt(P) routing stages. A layer has ten allreduces (Q, K and V share one,
  gate and up share one) and alternates between reducing along columns and along rows, so that nothing is ever
  transposed.
- Prefill is compute-shift GEMM (MeshGEMM): P steps a product, in each of which a PE multiplies the tiles it
  holds and passes both on to the PE two hops away. Nine products a layer.

The published program computes K and V as wide as Q, whatever the model's number of key-value heads (its
launch code makes all three weights dim x dim: github.com/MeshInfra/WaferLLM, Prefill and Decode, read
2026-11). `wide_kv` counts that; without it K and V have the width of the key-value heads. Which of both a
phase is timed with is decided by the measured rows (PROGRAMS in phases.py, docs/wafer.md).

Attention is in attention.py, the FFN and experts in experts.py, the parts that all are made of in ops.py.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wse_backend.wafer.routing import EVEN, Routing
from wse_backend.wafer.shapes import ModelShape
from wse_backend.wafer.timing.attention import decode_attention, prefill_attention
from wse_backend.wafer.timing.experts import decode_ffn, prefill_ffn
from wse_backend.wafer.timing.ops import Mesh, OpCount, gemv, local, reduction


def decode_counts(
    shape: ModelShape,
    mesh: Mesh,
    context: npt.ArrayLike,
    batch: npt.ArrayLike = 1,
    *,
    wide_kv: bool = False,
    routing: Routing = EVEN,
) -> list[OpCount]:
    """One layer of one decode step for `batch` sequences that each have `context` tokens in the cache.

    shape: of the kind of layer (ModelShape.kinds).
    """
    b = np.asarray(batch, np.float64)
    attention = decode_attention(shape, mesh, np.asarray(context, np.int64), b, wide_kv=wide_kv)
    return [
        reduction("attention norm", "norm", mesh.rows, 1, b),
        *attention,
        local("attention residual", "output"),
        reduction("ffn norm", "norm", mesh.rows, 1, b),
        *decode_ffn(shape, mesh, b, routing),
        local("ffn residual", "ffn"),
    ]


def prefill_counts(
    shape: ModelShape,
    mesh: Mesh,
    tokens: npt.ArrayLike,
    cached: npt.ArrayLike = 0,
    *,
    wide_kv: bool = True,
    routing: Routing = EVEN,
) -> list[OpCount]:
    """One layer of a prefill of `tokens` tokens behind `cached` ones that are already in the KV cache.

    Causal skipping is not assumed: the reference kernels compute the full square of scores.
    """
    length, past = np.asarray(tokens, np.int64), np.asarray(cached, np.int64)
    tile = mesh.y(length) * mesh.x(shape.dim)
    return [
        reduction("attention norm", "norm", mesh.columns, 1, tile),
        *prefill_attention(shape, mesh, length, past, wide_kv=wide_kv),
        local("attention residual", "output", tile),
        reduction("ffn norm", "norm", mesh.columns, 1, tile),
        *prefill_ffn(shape, mesh, length, routing),
        local("ffn residual", "ffn", tile),
    ]


def head_counts(shape: ModelShape, mesh: Mesh, batch: npt.ArrayLike = 1) -> list[OpCount]:
    """Final norm and LM head for the last token of each of `batch` sequences."""
    b = np.asarray(batch, np.float64)
    logits = gemv(
        mesh, "lm head", "head", mesh.y(shape.dim), (mesh.x(shape.vocab_size),), mesh.rows, False, b
    )
    return [reduction("final norm", "head", mesh.rows, 1, b), logits]


def gemv_counts(m: int, n: int, mesh: Mesh) -> OpCount:
    """A bare GEMV: a vector of `m` times a matrix of m x n, and the allreduce of its result."""
    return gemv(mesh, "gemv", "gemv", mesh.y(m), (mesh.x(n),), mesh.rows, False, np.ones(()))
