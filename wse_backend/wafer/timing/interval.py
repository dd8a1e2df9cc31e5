"""How sure a modelled number is: the same number with the constants of fits to fewer rows.

An interval runs from the lowest to the highest prediction of the refits that bench/fit_wafer.py stores (one
row, one model or one grid left out of each), widened by the mean error of rows that were left out. It says
nothing of what no row can say: whether a wafer, a model or a context far from the measured ones behaves
alike. That is what `extrapolations` lists.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wse_backend.wafer.shapes import ModelShape
from wse_backend.wafer.spec import WaferSpec
from wse_backend.wafer.timing.constants import NAMES, Constants
from wse_backend.wafer.timing.fitted import FITTED, HELD_OUT_ERROR, REFITS
from wse_backend.wafer.timing.ops import Count

MEASURED_TOKENS = (2048, 8192)  # every measured row has 4,096; half and twice that are called near

# Every constant as one array, the fitted value first: formulas broadcast, so one call times all refits.
STACKED = Constants(
    *(np.array([getattr(found, name) for found in (FITTED, *REFITS)]) for name in NAMES)  # type: ignore[arg-type]
)
N_FITS = 1 + len(REFITS)


@dataclass(frozen=True)
class Interval:
    """A modelled value with the lowest and the highest that fits to fewer rows give."""

    value: float
    low: float
    high: float

    def scaled(self, factor: float) -> Interval:
        """The same in another unit, or of `factor` as many."""
        return Interval(self.value * factor, self.low * factor, self.high * factor)

    @property
    def rate(self) -> Interval:
        """One over it: seconds become passes per second, the ends change places."""
        return Interval(1 / self.value, 1 / self.high, 1 / self.low)

    def over(self, other: Interval) -> Interval:
        """How many times the other it is; their errors are taken to be against each other."""
        return Interval(self.value / other.value, self.low / other.high, self.high / other.low)


def plus(first: Interval, second: Interval) -> Interval:
    """Two times one after another; their errors are taken to go together."""
    return Interval(first.value + second.value, first.low + second.low, first.high + second.high)


def interval(seconds: Callable[[Constants], Count], phase: str) -> Interval:
    """The interval of a time; `seconds` is called once, with every constant an array over the refits.

    phase: "decode" or "prefill", whose held-out error widens it.
    """
    return between(seconds(STACKED), phase)


def between(values: npt.NDArray[np.float64], phase: str) -> Interval:
    """The interval of values computed with STACKED, (1 + refits,): the fitted one first."""
    lows, highs = bounds(values, phase)
    return Interval(float(values[0]), float(lows), float(highs))


def bounds(values: npt.NDArray[np.float64], phase: str) -> tuple[Count, Count]:
    """Lowest and highest along the first axis of values computed with STACKED, for curves."""
    error = HELD_OUT_ERROR[phase]
    return values.min(axis=0) * (1 - error), values.max(axis=0) * (1 + error)


def extrapolations(model: ModelShape, spec: WaferSpec, tokens: int, wafers: int = 1) -> tuple[str, ...]:
    """In words, what about a prediction no measurement is near to; empty when all is."""
    few, many = MEASURED_TOKENS
    found = []
    if not spec.is_measured:
        found.append(f"no {spec.name} was measured")
    if model.n_experts:
        found.append("no mixture of experts was measured")
    if any(kind.window for kind, _ in model.kinds):
        found.append("no sliding window was measured")
    if not few <= tokens <= many:
        found.append(f"{tokens:,} tokens are far from the measured 4,096")
    if wafers > 1:
        found.append("no crossing between wafers was measured")
    return tuple(found)
