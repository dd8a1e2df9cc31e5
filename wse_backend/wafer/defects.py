"""Defects: drawn from a density and a seed, bypassed with the spare PEs of their row; and the yield.

A row of the mesh has `columns` + `spare_columns` PEs. A defective PE is fused out and every PE beyond it
moves up by one, so a row survives as many defects as it has spares. Modelled: defects fall independently
(Poisson), which clustered defects would only improve on.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from wse_backend.errors import NoUsableWafer
from wse_backend.wafer.checks import SEED_LIMIT, real, whole
from wse_backend.wafer.spec import WaferSpec

MM2_PER_CM2 = 100.0
DENSITY_LIMIT = 1000.0  # per cm2: half a million defects, far beyond any usable process
DRAWS_LIMIT = 10_000


@dataclass(frozen=True)
class DefectMap:
    """The defects of one wafer: physical column and row of each, int64 (n,)."""

    spec: WaferSpec
    columns: npt.NDArray[np.int64] = field(repr=False)
    rows: npt.NDArray[np.int64] = field(repr=False)

    @property
    def per_row(self) -> npt.NDArray[np.int64]:
        """Distinct defective PEs of every row, (spec.rows,)."""
        width = self.spec.columns + self.spec.spare_columns
        distinct = np.unique(self.rows * width + self.columns)
        return np.bincount(distinct // width, minlength=self.spec.rows)

    @property
    def is_usable(self) -> bool:
        """Whether the spares of every row are enough."""
        return bool((self.per_row <= self.spec.spare_columns).all())

    def physical_columns(self, row: int) -> npt.NDArray[np.int64]:
        """Which PE of `row` serves each logical column, (spec.columns,) ascending.

        Raises NoUsableWafer when the row has more defects than spares.
        """
        width = self.spec.columns + self.spec.spare_columns
        working = np.setdiff1d(np.arange(width), self.columns[self.rows == row])
        if len(working) < self.spec.columns:
            found = len(self.columns) / self.spec.area_mm2 * MM2_PER_CM2
            raise NoUsableWafer(self.spec.name, found, 1, self.spec.spare_columns)
        return working[: self.spec.columns]


@dataclass(frozen=True)
class WaferYield:
    """Shares of usable wafers among `drawn` ones, with the row spares and if there were none."""

    density_per_cm2: float
    drawn: int
    with_spares: float
    without_spares: float


def draw(spec: WaferSpec, density_per_cm2: float, seed: int = 0) -> DefectMap:
    """Draw the defects of one wafer. Raises InvalidParams (density or seed out of range)."""
    rng = np.random.default_rng(whole("seed", seed, 0, SEED_LIMIT))
    n = int(rng.poisson(_mean_defects(spec, density_per_cm2)))
    width = spec.columns + spec.spare_columns
    return DefectMap(spec, rng.integers(0, width, n), rng.integers(0, spec.rows, n))


def draw_usable(
    spec: WaferSpec, density_per_cm2: float, seed: int = 0, wafers: int = 1, attempts: int = 50
) -> tuple[DefectMap, ...]:
    """Draw until `wafers` usable ones are found, at most `attempts` draws each.

    Raises InvalidParams (density out of range), NoUsableWafer.
    """
    whole("wafers", wafers, 1, DRAWS_LIMIT)
    found: list[DefectMap] = []
    for attempt in range(attempts * wafers):
        candidate = draw(spec, density_per_cm2, seed + attempt)
        if candidate.is_usable:
            found.append(candidate)
        if len(found) == wafers:
            return tuple(found)
    raise NoUsableWafer(spec.name, density_per_cm2, attempts * wafers, spec.spare_columns)


def yield_of(spec: WaferSpec, density_per_cm2: float, drawn: int = 1000, seed: int = 0) -> WaferYield:
    """Draw `drawn` wafers and count the usable ones. Raises InvalidParams (density, number of draws)."""
    whole("drawn", drawn, 1, DRAWS_LIMIT)
    rng = np.random.default_rng(whole("seed", seed, 0, SEED_LIMIT))
    per_row = rng.poisson(_mean_defects(spec, density_per_cm2) / spec.rows, (drawn, spec.rows))
    worst = per_row.max(axis=1)
    usable, clean = np.mean(worst <= spec.spare_columns), np.mean(worst == 0)
    return WaferYield(density_per_cm2, drawn, float(usable), float(clean))


def expected_yield(
    spec: WaferSpec, densities_per_cm2: npt.ArrayLike
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Usable shares with and without spares at each density, in closed form: what `yield_of` tends to.

    Every row survives with the Poisson chance of at most `spare_columns` defects, independently.
    Raises InvalidParams (a density out of range).
    """
    densities = np.atleast_1d(np.asarray(densities_per_cm2, np.float64))
    mean = np.array([_mean_defects(spec, float(density)) for density in densities])
    per_row = mean[:, None] / spec.rows
    k = np.arange(spec.spare_columns + 1)
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, len(k))))])
    with np.errstate(divide="ignore", invalid="ignore"):
        log_power = np.where(k == 0, 0.0, k * np.log(per_row))
    survives = np.exp(log_power - per_row - log_factorial).sum(axis=1)
    return np.minimum(survives, 1.0) ** spec.rows, np.exp(-mean)


def _mean_defects(spec: WaferSpec, density_per_cm2: float) -> float:
    return real("defect density per cm2", density_per_cm2, 0, DENSITY_LIMIT) * spec.area_mm2 / MM2_PER_CM2
