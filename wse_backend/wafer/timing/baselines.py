"""The same work by algorithms that a wafer punishes: pipeline and ring allreduce, SUMMA and Cannon.

All modelled with the constants fitted to K-tree GEMV and MeshGEMM; which of PLMR's limits each one runs
into is the point of the chart (WaferLLM, arXiv 2502.04563, sections 4 and 5):

| allreduce of n elements over P PEs | hops          | routing stages    |
| ---------------------------------- | ------------- | ----------------- |
| pipeline                           | P             | P                 |
| ring                               | 4 (P - 1)     | 2 (P - 1)         |
| K-tree                             | P             | K P^(1/K) / 2     |

| GEMM on P x P PEs | hops per step               | why                                              |
| ----------------- | --------------------------- | ------------------------------------------------ |
| SUMMA             | P, a routing stage per hop  | P senders need P routes; a router has about 24   |
| Cannon            | P                           | a mesh has no wrap-around link: one PE waits     |
| MeshGEMM          | 2                           | rows and columns are interleaved                 |
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wse_backend.errors import InvalidParams
from wse_backend.wafer.spec import WaferSpec
from wse_backend.wafer.timing.constants import Constants
from wse_backend.wafer.timing.fitted import FITTED
from wse_backend.wafer.timing.ops import K_TREE, Count, tiles

ALLREDUCES = ("pipeline", "ring", "k-tree")
GEMMS = ("summa", "cannon", "meshgemm")


def allreduce_seconds(
    algorithm: str,
    sides: npt.ArrayLike,
    elements: npt.ArrayLike,
    spec: WaferSpec,
    *,
    constants: Constants = FITTED,
) -> Count:
    """Seconds to sum a vector of `elements` per PE over `sides` PEs in a row, result on every PE.

    sides, elements: broadcast. Raises InvalidParams (no such algorithm).
    """
    length = np.asarray(sides, np.float64)
    n = np.asarray(elements, np.float64)
    if algorithm == "pipeline":
        hops, stages, work = length, length, n
    elif algorithm == "ring":
        # Reduce-scatter and all-gather: 2 (P - 1) steps of n / P elements, on a ring folded into the row, so
        # that every neighbour is two hops away.
        stages = 2 * (length - 1)
        hops, work = 2 * stages, stages * np.ceil(n / length)
    elif algorithm == "k-tree":
        hops, stages, work = length, K_TREE * length ** (1 / K_TREE) / 2, n
    else:
        raise InvalidParams("algorithm", algorithm, ", ".join(ALLREDUCES))
    cycles = constants.hop * hops + constants.stage * stages + constants.element * work
    return np.asarray(cycles / spec.clock_hz)


def gemm_seconds(
    algorithm: str,
    size: tuple[int, int, int],
    sides: npt.ArrayLike,
    spec: WaferSpec,
    *,
    constants: Constants = FITTED,
) -> Count:
    """Seconds of a product of (m, k) with (k, n), `size` = (m, k, n), on square grids of `sides`.

    Raises InvalidParams (no such algorithm).
    """
    if algorithm not in GEMMS:
        raise InvalidParams("algorithm", algorithm, ", ".join(GEMMS))
    pes = np.asarray(sides, np.int64)
    m, k, n = (tiles(length, pes) for length in size)
    p = pes.astype(np.float64)
    padded = np.ceil(m / spec.word_elements) * spec.word_elements
    compute = padded * k * n / spec.simd_width + constants.dispatch * (k * n + m * k)
    distance = constants.hop * (np.full_like(p, 2.0) if algorithm == "meshgemm" else p)
    stages = constants.stage * p if algorithm == "summa" else np.zeros_like(p)
    return np.asarray(p * (compute + constants.step + distance + stages) / spec.clock_hz)
