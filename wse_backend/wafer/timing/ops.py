"""The critical PE's work in one operation: GEMV with its allreduce, compute-shift GEMM, local operations.

Every count is a float64 array and every formula broadcasts: a grid side, a context or a batch may be an array
of candidates, which is how whole curves are computed at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields

import numpy as np
import numpy.typing as npt

from wse_backend.wafer.spec import WaferSpec

Count = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

K_TREE = 2


def zero() -> Count:
    """Nothing, as an array."""
    return np.zeros(())


@dataclass(frozen=True)
class OpCount:
    """Work of one operation on the critical PE, float64 arrays that broadcast against each other.

    group: the operation's name among the groups that the in-process engine measures (GROUPS).
    macs: multiply-accumulates, vectors padded to whole words. dispatches: vector instructions started.
    moves: elements of shifted tiles. steps: compute-shift steps. hops, stages: along the mesh, one after
    another. locals: local operations. elements: of allreduced vectors. words: 32-bit words through the
    busiest link, one per cycle as published.
    """

    name: str
    group: str
    macs: Count = field(default_factory=zero)
    dispatches: Count = field(default_factory=zero)
    moves: Count = field(default_factory=zero)
    steps: Count = field(default_factory=zero)
    hops: Count = field(default_factory=zero)
    stages: Count = field(default_factory=zero)
    locals: Count = field(default_factory=zero)
    elements: Count = field(default_factory=zero)
    words: Count = field(default_factory=zero)

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
    routing_paths: int

    @classmethod
    def of(cls, spec: WaferSpec, columns: npt.ArrayLike, rows: npt.ArrayLike) -> Mesh:
        """A grid on a wafer, or candidates of one."""
        sides = (np.asarray(columns, np.int64), np.asarray(rows, np.int64))
        return cls(*sides, spec.word_elements, spec.routing_paths)

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


def gemv(
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
    macs = sum((k * mesh.padded(n) for n in widths), zero()) * batch
    elements = sum(widths, zero()) * batch if after else zero()
    hops, stages = allreduce(along)
    return OpCount(
        name,
        group,
        macs=macs,
        dispatches=k * len(widths) * batch,
        hops=hops,
        stages=stages,
        elements=elements,
    )


def allreduce(along: Whole, times: float = 1.0) -> tuple[Count, Count]:
    """Hops and routing stages of `times` K-tree allreduces over `along` PEs."""
    length = along.astype(np.float64)
    return times * length, times * K_TREE * length ** (1 / K_TREE) / 2


def reduction(name: str, group: str, along: Whole, times: int, elements: Count) -> OpCount:
    """A local operation with `times` allreduces of its own (norm: one, softmax: two)."""
    hops, stages = allreduce(along, times)
    return OpCount(name, group, hops=hops, stages=stages, locals=np.ones(()), elements=elements)


def local(name: str, group: str, elements: Count | None = None) -> OpCount:
    """A local operation without an allreduce (RoPE, activation, residual)."""
    return OpCount(name, group, locals=np.ones(()), elements=zero() if elements is None else elements)


def merged(op: OpCount, other: OpCount) -> OpCount:
    """`op` and `other` as one: work adds up, the allreduce is shared (the wider of the two)."""
    together = {name: getattr(op, name) + getattr(other, name) for name in COUNTS}
    together["hops"] = np.maximum(op.hops, other.hops)
    together["stages"] = np.maximum(op.stages, other.stages)
    return OpCount(op.name, op.group, **together)


def gemm(
    mesh: Mesh, name: str, group: str, left: Count, inner: npt.ArrayLike, rights: Iterable[Count], n: Count
) -> OpCount:
    """Compute-shift products of a left tile with right matrices of tiles `rights`; `n` copies of each."""
    steps = np.maximum(mesh.columns, mesh.rows)
    k, widths = tiles(inner, steps), list(rights)
    p = steps.astype(np.float64)
    total = sum(widths, zero()) * n
    return OpCount(
        name,
        group,
        macs=p * mesh.padded(left) * k * total,
        dispatches=p * k * total,
        moves=p * left * k * len(widths) * n,
        steps=p * len(widths),
        hops=2 * p * len(widths),
    )


def chained(name: str, group: str, ops: Iterable[OpCount]) -> OpCount:
    """Operations one after another under one name: all that they count adds up."""
    found = list(ops)
    together = {count: sum((getattr(op, count) for op in found), zero()) for count in COUNTS}
    return OpCount(name, group, **together)
