"""Defects: drawn alike from a seed, bypassed row by row, and yields that agree with closed formulas."""

from __future__ import annotations

from math import exp, factorial

import numpy as np
import pytest

from wse_backend.errors import InvalidParams, NoUsableWafer
from wse_backend.wafer.defects import DefectMap, draw, draw_usable, expected_yield, yield_of
from wse_backend.wafer.spec import WSE2, WaferSpec

SMALL = WaferSpec("small", 6, 3, 2, 1e9, 4, 1024, 1e12, 1e12)


def test_same_seed_draws_the_same_defects() -> None:
    first, again, other = (draw(WSE2, 0.5, seed) for seed in (7, 7, 8))
    assert np.array_equal(first.columns, again.columns)
    assert not np.array_equal(first.columns[:5], other.columns[:5])


def test_number_of_defects_follows_the_density() -> None:
    # 462.25 cm2 at 2 per cm2; the mean of 200 Poisson draws is off by 2.15 (one sigma)
    found = np.mean([len(draw(WSE2, 2.0, seed).columns) for seed in range(200)])
    assert found == pytest.approx(924.5, abs=4 * 2.15)


def test_row_goes_around_its_defects() -> None:
    found = DefectMap(SMALL, np.array([0, 3, 3]), np.array([1, 1, 1]))  # PE 3 of row 1 drawn twice
    assert found.per_row.tolist() == [0, 2, 0]
    assert found.is_usable
    assert found.physical_columns(1).tolist() == [1, 2, 4, 5, 6, 7]
    assert found.physical_columns(0).tolist() == [0, 1, 2, 3, 4, 5]


def test_row_with_more_defects_than_spares_is_not_usable() -> None:
    found = DefectMap(SMALL, np.array([0, 3, 7]), np.array([2, 2, 2]))
    assert not found.is_usable
    with pytest.raises(NoUsableWafer, match="2 spare PEs"):
        found.physical_columns(2)


def test_usable_wafers_are_usable_and_differ() -> None:
    first, second = draw_usable(WSE2, 5.0, seed=1, wafers=2)
    assert first.is_usable
    assert second.is_usable
    assert not np.array_equal(first.rows[:20], second.rows[:20])


def test_yield_without_spares_is_the_chance_of_no_defect() -> None:
    # mean defects per wafer: 0.002 x 462.25 = 0.9245; share without any: exp(-0.9245)
    found = yield_of(WSE2, 0.002, drawn=4000, seed=3)
    assert found.without_spares == pytest.approx(exp(-0.9245), abs=0.025)
    assert found.with_spares == 1.0


def test_yield_with_spares_is_the_chance_that_every_row_has_enough() -> None:
    mean = 8.0 * 462.25 / WSE2.rows
    row_survives = sum(exp(-mean) * mean**k / factorial(k) for k in range(WSE2.spare_columns + 1))
    found = yield_of(WSE2, 8.0, drawn=2000, seed=3)
    assert found.with_spares == pytest.approx(row_survives**WSE2.rows, abs=0.02)
    assert found.without_spares == 0.0


def test_closed_formula_is_what_many_draws_tend_to() -> None:
    densities = [0.0, 0.002, 6.0, 8.0, 1000.0]
    with_spares, without = expected_yield(WSE2, densities)
    drawn = [yield_of(WSE2, density, drawn=2000, seed=9) for density in densities]
    assert with_spares == pytest.approx([found.with_spares for found in drawn], abs=0.025)
    assert without == pytest.approx([found.without_spares for found in drawn], abs=0.03)


def test_perfect_process_yields_every_wafer() -> None:
    found = yield_of(WSE2, 0.0, drawn=10)
    assert (found.with_spares, found.without_spares) == (1.0, 1.0)


def test_density_that_leaves_no_wafer_is_refused_with_the_numbers() -> None:
    with pytest.raises(
        NoUsableWafer, match=r"none of 20 WSE-2 wafers is usable at 100 defects/cm2"
    ) as caught:
        draw_usable(WSE2, 100.0, attempts=20)
    assert (caught.value.drawn, caught.value.spares_per_row) == (20, 13)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("density", [-0.1, float("nan"), 1e6], ids=str)
def test_impossible_density_is_refused(density: float) -> None:
    for call in (draw, draw_usable, yield_of, expected_yield):
        with pytest.raises(InvalidParams, match="defect density"):
            call(WSE2, density)


def test_number_of_draws_is_limited() -> None:
    with pytest.raises(InvalidParams, match="drawn is 0"):
        yield_of(WSE2, 1.0, drawn=0)
