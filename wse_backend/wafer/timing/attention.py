"""Work of one layer's attention on the critical PE: grouped-query attention, and latent attention.

Latent attention (DeepSeek-V2, arXiv 2405.04434) projects a token to q_rank and kv_rank + rope_dim values
first; only the latter are cached. Decode absorbs the keys' and values' up-projections into the queries and
into the output, so that it attends over the cached latents; prefill decompresses keys and values instead.

A layer with a sliding window reads the newest `window` cached tokens at most. In prefill a row of PEs, which
holds a run of the prompt's tokens, needs that run's keys and the window before it: a band, not a square. The
products keep their P steps; tiles are thinner. Nobody has measured a window on a wafer.
"""

from __future__ import annotations

import numpy as np

from wse_backend.wafer.shapes import ModelShape
from wse_backend.wafer.timing.ops import Count, Mesh, OpCount, Whole, chained, gemm, gemv, local, reduction


def decode_attention(
    shape: ModelShape, mesh: Mesh, context: Whole, b: Count, *, wide_kv: bool
) -> list[OpCount]:
    """Projections, attention over `context` cached tokens, output projection; for `b` sequences."""
    rows, columns = mesh.rows, mesh.columns
    cached = mesh.y(np.minimum(context, shape.window) if shape.window else context)
    if shape.kv_rank:
        asked = mesh.x(shape.n_heads * (shape.kv_rank + shape.rope_dim))
        found = mesh.x(shape.n_heads * shape.kv_rank)
        project, output = _latent_decode(shape, mesh, b)
    else:
        asked = found = mesh.x(shape.q_dim)
        kv = mesh.x(kv_width(shape, wide_kv))
        project = gemv(mesh, "qkv", "qkv", mesh.y(shape.dim), (asked, kv, kv), rows, True, b)
        output = gemv(mesh, "output", "output", found, (mesh.y(shape.dim),), columns, True, b)
    return [
        project,
        local("rope", "qkv"),
        gemv(mesh, "scores", "attention", asked, (cached,), columns, True, b),
        reduction("softmax", "attention", rows, 2, 2 * b),
        gemv(mesh, "context", "attention", cached, (found,), rows, True, b),
        output,
    ]


def prefill_attention(
    shape: ModelShape, mesh: Mesh, length: Whole, past: Whole, *, wide_kv: bool
) -> list[OpCount]:
    """The same for a prompt of `length` tokens behind `past` cached ones; the full square of scores.

    With a window the band of them that the row of PEs with the most tokens needs.
    """
    one = np.ones(())
    left, seen = mesh.y(length), length + past
    if shape.window:
        seen = np.minimum(seen, shape.window + left.astype(np.int64))
    keys = mesh.x(seen)
    dim, q, output = mesh.x(shape.dim), mesh.x(shape.q_dim), mesh.x(shape.output_dim)
    if shape.kv_rank:
        project, rotated = _latent_prefill(shape, mesh, left), q + mesh.x(shape.rope_dim)
    else:
        kv = mesh.x(kv_width(shape, wide_kv))
        project, rotated = gemm(mesh, "qkv", "qkv", left, shape.dim, (q, kv, kv), one), q + kv
    # Every norm and softmax reduces one value per row of tokens in a PE.
    return [
        project,
        local("rope", "qkv", left * rotated),
        gemm(mesh, "scores", "attention", left, shape.q_dim, (keys,), one),
        reduction("softmax", "attention", mesh.columns, 2, left * keys + 2 * left),
        gemm(mesh, "context", "attention", left, seen, (output,), one),
        gemm(mesh, "output", "output", left, shape.output_dim, (dim,), one),
    ]


def kv_width(shape: ModelShape, wide_kv: bool) -> int:
    """Columns of the K (and of the V) projection."""
    return shape.q_dim if wide_kv else shape.kv_dim


def _latent_decode(shape: ModelShape, mesh: Mesh, b: Count) -> tuple[OpCount, OpCount]:
    """Down and up to the queries, the keys' up-projection absorbed; the values' before the output."""
    rows, columns = mesh.rows, mesh.columns
    nope = shape.n_heads * (shape.head_dim - shape.rope_dim)
    latents = (mesh.x(shape.q_rank), mesh.x(shape.kv_rank + shape.rope_dim))
    down = gemv(mesh, "", "", mesh.y(shape.dim), latents, rows, True, b)
    up = gemv(mesh, "", "", mesh.x(shape.q_rank), (mesh.y(shape.q_dim),), columns, True, b)
    absorbed = gemv(mesh, "", "", mesh.y(nope), (mesh.x(shape.kv_rank),), rows, True, b)
    values = gemv(mesh, "", "", mesh.y(shape.kv_rank), (mesh.x(shape.output_dim),), rows, True, b)
    output = gemv(mesh, "", "", mesh.x(shape.output_dim), (mesh.y(shape.dim),), columns, True, b)
    return chained("qkv", "qkv", (down, up, absorbed)), chained("output", "output", (values, output))


def _latent_prefill(shape: ModelShape, mesh: Mesh, left: Count) -> OpCount:
    """Down to the latents, up to queries, keys and values."""
    one = np.ones(())
    nope = shape.n_heads * (shape.head_dim - shape.rope_dim)
    latents = (mesh.x(shape.q_rank), mesh.x(shape.kv_rank + shape.rope_dim))
    wide = (mesh.x(nope), mesh.x(shape.output_dim))
    return chained(
        "qkv",
        "qkv",
        (
            gemm(mesh, "", "", left, shape.dim, latents, one),
            gemm(mesh, "", "", left, shape.q_rank, (mesh.x(shape.q_dim),), one),
            gemm(mesh, "", "", left, shape.kv_rank, wide, one),
        ),
    )
