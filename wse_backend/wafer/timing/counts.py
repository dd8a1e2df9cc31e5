"""How much work each operation is for the critical PE: the PE with the largest tiles.

The mapping is the one that the reference measurements used (WaferLLM, OSDI 2025, arXiv 2502.04563, and its
published kernels): every layer in turn is tiled over one grid of columns x rows PEs, tiles of ceil(dim / P).

- Decode is GEMV with a K-tree allreduce, K = 2: groups of sqrt(P) PEs first, then their roots. P hops to the
  root and back, K * P^(1/K) / 2 = sqrt(P) routing stages. A layer has ten allreduces (Q, K and V share one,
  gate and up share one) and alternates between reducing along columns and along rows, so that nothing is ever
  transposed.
- Prefill is compute-shift GEMM (MeshGEMM): P steps a product, in each of which a PE multiplies the tiles it
  holds and passes both on to the PE two hops away. Nine products a layer.

Every count is a float64 array and every formula broadcasts: a grid side, a context or a batch may be an array
of candidates, which is how whole curves are computed at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields

import numpy as np
import numpy.typing as npt

from wse_backend.wafer.shapes import ModelShape
from wse_backend.wafer.spec import WaferSpec

Count = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

K_TREE = 2


def _zero() -> Count:
    return np.zeros(())


@dataclass(frozen=True)
class OpCount:
    """Work of one operation on the critical PE, float64 arrays that broadcast against each other.

    group: the operation's name among the groups that the in-process engine measures (GROUPS).
    macs: multiply-accumulates, vectors padded to whole words. dispatches: vector instructions started.
    moves: elements of shifted tiles. steps: compute-shift steps. hops, stages: along the mesh, one after
    another. locals: local operations. elements: of allreduced vectors.
    """

    name: str
    group: str
    macs: Count = field(default_factory=_zero)
    dispatches: Count = field(default_factory=_zero)
    moves: Count = field(default_factory=_zero)
    steps: Count = field(default_factory=_zero)
    hops: Count = field(default_factory=_zero)
    stages: Count = field(default_factory=_zero)
    locals: Count = field(default_factory=_zero)
    elements: Count = field(default_factory=_zero)

    def summed(self, times: npt.ArrayLike = 1.0) -> OpCount:
        """The same operation, every count weighted with `times` and summed over all its candidates."""
        weights = np.asarray(times, dtype=np.float64)
        values = {name: np.sum(getattr(self, name) * weights) for name in COUNTS}
        return OpCount(self.name, self.group, **values)


COUNTS = tuple(f.name for f in fields(OpCount) if f.name not in ("name", "group"))


@dataclass(frozen=True)
class Mesh:
    """A grid of PEs (or an array of candidate grids): columns (x), rows (y), int64."""

    columns: Whole
    rows: Whole
    word_elements: int

    @classmethod
    def of(cls, spec: WaferSpec, columns: npt.ArrayLike, rows: npt.ArrayLike) -> Mesh:
        return cls(np.asarray(columns, np.int64), np.asarray(rows, np.int64), spec.word_elements)

    def x(self, n: npt.ArrayLike) -> Count:
        """Tile of `n` elements over the columns."""
        return tiles(n, self.columns)

    def y(self, n: npt.ArrayLike) -> Count:
        """Tile of `n` elements over the rows."""
        return tiles(n, self.rows)

    def padded(self, n: Count) -> Count:
        """A vector of `n` elements in whole words."""
        return np.ceil(n / self.word_elements) * self.word_elements


def tiles(n: npt.ArrayLike, pes: Whole) -> Count:
    """ceil(n / pes), exact for whole numbers."""
    return (-(-np.asarray(n, np.int64) // pes)).astype(np.float64)


def _gemv(
    mesh: Mesh,
    name: str,
    group: str,
    k: Count,
    outputs: Iterable[Count],
    along: Whole,
    after: bool,
    batch: Count,
) -> OpCount:
    """Products of one input tile of `k` with matrices of output tiles `outputs`, one allreduce for all.

    along: length of the mesh in the direction of the allreduce. after: whether a local operation takes up the
    result (inside a layer).
    """
    widths = list(outputs)
    macs = sum((k * mesh.padded(n) for n in widths), _zero()) * batch
    elements = sum(widths, _zero()) * batch if after else _zero()
    hops, stages = _allreduce(along)
    return OpCount(
        name,
        group,
        macs=macs,
        dispatches=k * len(widths) * batch,
        hops=hops,
        stages=stages,
        elements=elements,
    )


def _allreduce(along: Whole, times: float = 1.0) -> tuple[Count, Count]:
    """Hops and routing stages of `times` K-tree allreduces over `along` PEs."""
    length = along.astype(np.float64)
    return times * length, times * K_TREE * length ** (1 / K_TREE) / 2


def _reduction(name: str, group: str, along: Whole, times: int, elements: Count) -> OpCount:
    """A local operation with `times` allreduces of its own (norm: one, softmax: two)."""
    hops, stages = _allreduce(along, times)
    return OpCount(name, group, hops=hops, stages=stages, locals=np.ones(()), elements=elements)


def _local(name: str, group: str, elements: Count | None = None) -> OpCount:
    return OpCount(name, group, locals=np.ones(()), elements=_zero() if elements is None else elements)


def _ffn_experts(shape: ModelShape, tokens: Count) -> tuple[Count, float]:
    """Experts at work for `tokens` tokens at once, and the share of tokens that each of them sees."""
    if not shape.n_experts:
        return np.ones(()), 1.0
    working = np.minimum(shape.n_experts, tokens * shape.n_experts_active)
    return working, shape.n_experts_active / shape.n_experts


def decode_counts(
    shape: ModelShape, mesh: Mesh, context: npt.ArrayLike, batch: npt.ArrayLike = 1
) -> list[OpCount]:
    """One layer of one decode step for `batch` sequences that each have `context` tokens in the cache."""
    b = np.asarray(batch, np.float64)
    dim, dim_out = mesh.y(shape.dim), mesh.y(shape.dim)
    q, kv, cached = mesh.x(shape.q_dim), mesh.x(shape.kv_dim), mesh.y(context)
    rows, columns = mesh.rows, mesh.columns
    return [
        _reduction("attention norm", "norm", rows, 1, b),
        _gemv(mesh, "qkv", "qkv", dim, (q, kv, kv), rows, True, b),
        _local("rope", "qkv"),
        _gemv(mesh, "scores", "attention", q, (cached,), columns, True, b),
        _reduction("softmax", "attention", rows, 2, 2 * b),
        _gemv(mesh, "context", "attention", cached, (q,), rows, True, b),
        _gemv(mesh, "output", "output", q, (dim_out,), columns, True, b),
        _local("attention residual", "output"),
        _reduction("ffn norm", "norm", rows, 1, b),
        *_decode_ffn(shape, mesh, dim, b),
        _local("ffn residual", "ffn"),
    ]


def _decode_ffn(shape: ModelShape, mesh: Mesh, dim: Count, b: Count) -> list[OpCount]:
    """Gate and up, activation, down; with experts: a router before, and every expert at work in turn."""
    working, _ = _ffn_experts(shape, b)
    per_expert = b if not shape.n_experts else b * shape.n_experts_active / working
    hidden = mesh.x(shape.hidden_dim)
    gate_up = _gemv(mesh, "gate and up", "ffn", dim, (hidden, hidden), mesh.rows, True, working * per_expert)
    down = _gemv(mesh, "down", "ffn", hidden, (mesh.y(shape.dim),), mesh.columns, True, working * per_expert)
    ops = [gate_up, _local("activation", "ffn"), down]
    if shape.shared_hidden_dim:
        shared = mesh.x(shape.shared_hidden_dim)
        ops[0] = _merged(gate_up, _gemv(mesh, "", "", dim, (shared, shared), mesh.rows, True, b))
        ops[2] = _merged(down, _gemv(mesh, "", "", shared, (mesh.y(shape.dim),), mesh.columns, True, b))
    if shape.n_experts:
        router = _gemv(mesh, "router", "ffn", dim, (mesh.x(shape.n_experts),), mesh.rows, True, b)
        ops.insert(0, _merged(router, OpCount("", "", locals=np.ones(()))))
    return ops


def _merged(op: OpCount, other: OpCount) -> OpCount:
    """`op` and `other` as one: work adds up, the allreduce is shared (the wider of the two)."""
    together = {name: getattr(op, name) + getattr(other, name) for name in COUNTS}
    together["hops"] = np.maximum(op.hops, other.hops)
    together["stages"] = np.maximum(op.stages, other.stages)
    return OpCount(op.name, op.group, **together)


def head_counts(shape: ModelShape, mesh: Mesh, batch: npt.ArrayLike = 1) -> list[OpCount]:
    """Final norm and LM head for the last token of each of `batch` sequences."""
    b = np.asarray(batch, np.float64)
    logits = _gemv(
        mesh, "lm head", "head", mesh.y(shape.dim), (mesh.x(shape.vocab_size),), mesh.rows, False, b
    )
    return [_reduction("final norm", "head", mesh.rows, 1, b), logits]


def gemv_counts(m: int, n: int, mesh: Mesh) -> OpCount:
    """A bare GEMV: a vector of `m` times a matrix of m x n, and the allreduce of its result."""
    return _gemv(mesh, "gemv", "gemv", mesh.y(m), (mesh.x(n),), mesh.rows, False, np.ones(()))


def _gemm(
    mesh: Mesh, name: str, group: str, left: Count, inner: npt.ArrayLike, rights: Iterable[Count], n: Count
) -> OpCount:
    """Compute-shift products of a left tile with right matrices of tiles `rights`; `n` copies of each."""
    steps = np.maximum(mesh.columns, mesh.rows)
    k, widths = tiles(inner, steps), list(rights)
    p = steps.astype(np.float64)
    total = sum(widths, _zero()) * n
    return OpCount(
        name,
        group,
        macs=p * mesh.padded(left) * k * total,
        dispatches=p * k * total,
        moves=p * left * k * len(widths) * n,
        steps=p * len(widths),
        hops=2 * p * len(widths),
    )


def prefill_counts(
    shape: ModelShape, mesh: Mesh, tokens: npt.ArrayLike, cached: npt.ArrayLike = 0
) -> list[OpCount]:
    """One layer of a prefill of `tokens` tokens behind `cached` ones that are already in the KV cache.

    Causal skipping is not assumed: the reference kernels compute the full square of scores.
    """
    length = np.asarray(tokens, np.int64)
    one = np.ones(())
    left, keys = mesh.y(length), mesh.x(length + np.asarray(cached, np.int64))
    dim, q, kv = mesh.x(shape.dim), mesh.x(shape.q_dim), mesh.x(shape.kv_dim)
    rows_of = left  # every norm and softmax reduces one value per row of tokens in a PE
    return [
        _reduction("attention norm", "norm", mesh.columns, 1, left * dim),
        _gemm(mesh, "qkv", "qkv", left, shape.dim, (q, kv, kv), one),
        _local("rope", "qkv", left * (q + kv)),
        _gemm(mesh, "scores", "attention", left, shape.q_dim, (keys,), one),
        _reduction("softmax", "attention", mesh.columns, 2, left * keys + 2 * rows_of),
        _gemm(mesh, "context", "attention", left, length + np.asarray(cached, np.int64), (q,), one),
        _gemm(mesh, "output", "output", left, shape.q_dim, (dim,), one),
        _local("attention residual", "output", left * dim),
        _reduction("ffn norm", "norm", mesh.columns, 1, left * dim),
        *_prefill_ffn(shape, mesh, length, dim),
        _local("ffn residual", "ffn", left * dim),
    ]


def _prefill_ffn(shape: ModelShape, mesh: Mesh, length: Whole, dim: Count) -> list[OpCount]:
    """Gate and up, activation, down. Experts are one grouped product: all their tiles share the P steps."""
    working, share = _ffn_experts(shape, length.astype(np.float64))
    left = mesh.y(np.ceil(length * share).astype(np.int64))
    hidden = mesh.x(shape.hidden_dim)
    gate_up = _gemm(mesh, "gate and up", "ffn", left, shape.dim, (hidden, hidden), working)
    down = _gemm(mesh, "down", "ffn", left, shape.hidden_dim, (dim,), working)
    ops = [gate_up, _local("activation", "ffn", left * hidden * working), down]
    if shape.shared_hidden_dim:
        every, shared = mesh.y(length), mesh.x(shape.shared_hidden_dim)
        one = np.ones(())
        ops[0] = _merged(gate_up, _gemm(mesh, "", "", every, shape.dim, (shared, shared), one))
        ops[2] = _merged(down, _gemm(mesh, "", "", every, shape.shared_hidden_dim, (dim,), one))
    if shape.n_experts:
        router = _gemm(
            mesh, "router", "ffn", mesh.y(length), shape.dim, (mesh.x(shape.n_experts),), np.ones(())
        )
        ops.insert(0, _merged(router, OpCount("", "", locals=np.ones(()))))
    return ops
