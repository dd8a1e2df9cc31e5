"""Why the algorithm matters: the wafer's own algorithms against those made for other machines."""

from __future__ import annotations

import numpy as np
import pytest

from wse_backend.errors import InvalidParams
from wse_backend.wafer.spec import WSE2
from wse_backend.wafer.timing import Constants
from wse_backend.wafer.timing.baselines import ALLREDUCES, GEMMS, allreduce_seconds, gemm_seconds

ONLY_HOPS = Constants(dispatch=0, step=0, hop=1, stage=0, local=0, element=0)
ONLY_STAGES = Constants(dispatch=0, step=0, hop=0, stage=1, local=0, element=0)


@pytest.mark.parametrize(
    ("algorithm", "hops", "stages"), [("pipeline", 16, 16), ("ring", 60, 30), ("k-tree", 16, 4)]
)
def test_allreduce_over_16_pes_by_hand(algorithm: str, hops: int, stages: int) -> None:
    for constants, cycles in ((ONLY_HOPS, hops), (ONLY_STAGES, stages)):
        found = allreduce_seconds(algorithm, 16, 1, WSE2, constants=constants)
        assert found * WSE2.clock_hz == pytest.approx(cycles)


@pytest.mark.parametrize(
    ("algorithm", "hops"), [("summa", 16 * 16), ("cannon", 16 * 16), ("meshgemm", 2 * 16)]
)
def test_gemm_on_16_by_16_by_hand(algorithm: str, hops: int) -> None:
    nothing_to_multiply = gemm_seconds(algorithm, (1, 1, 1), 16, WSE2, constants=ONLY_HOPS)
    # a vector of one element is padded to a word: 2 / 4 cycles in each of 16 steps
    assert nothing_to_multiply * WSE2.clock_hz == pytest.approx(hops + 16 * 0.5)


@pytest.mark.parametrize("elements", [1, 10, 100])
def test_k_tree_is_fastest_on_wafer_sized_rows(elements: int) -> None:
    sides = np.arange(100, 850, 50)
    others = [allreduce_seconds(name, sides, elements, WSE2) for name in ("pipeline", "ring")]
    assert (allreduce_seconds("k-tree", sides, elements, WSE2) < np.minimum(*others)).all()


def test_meshgemm_leads_the_more_the_larger_the_grid() -> None:
    sides = np.array([100, 300, 600])
    size = (4096, 4096, 4096)
    mesh, cannon, summa = (gemm_seconds(name, size, sides, WSE2) for name in ("meshgemm", "cannon", "summa"))
    assert (mesh < cannon).all()
    assert (cannon < summa).all()
    assert (np.diff(cannon / mesh) > 0).all()


def test_unknown_algorithm_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidParams, match=", ".join(ALLREDUCES)):
        allreduce_seconds("tree", 4, 1, WSE2)
    with pytest.raises(InvalidParams, match=", ".join(GEMMS)):
        gemm_seconds("strassen", (4, 4, 4), 2, WSE2)
