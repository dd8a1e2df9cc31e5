"""How sure a handful of scores makes us: medians, bootstrap intervals, paired differences in words.

Percentile bootstrap: Efron & Tibshirani 1993, An Introduction to the Bootstrap, ch. 13. Paired comparison:
exact sign-flip (permutation) test, Fisher 1935, The Design of Experiments, ch. 3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

LEVEL = 0.95
RESAMPLES = 4000
EXACT_PAIRS = 14  # up to 2^14 sign patterns are counted one by one, more are drawn
SURE_ENOUGH = 0.95
MAX_MORE_SEEDS = 500
_Z_95, _Z_POWER_80 = 1.959964, 0.841621  # normal quantiles: 95 % two-sided, power 80 %

Values = npt.NDArray[np.float64]


def median(values: Sequence[float]) -> float:
    """The middle value, the mean of the two middle ones for an even number. Needs at least one."""
    return float(np.median(np.asarray(values, np.float64)))


def median_interval(values: Sequence[float], level: float = LEVEL) -> tuple[float, float] | None:
    """Percentile bootstrap interval of the median; None for fewer than two values.

    The draws are fixed, so that the same values always give the same interval.
    """
    return _interval(values, lambda sample: np.median(sample, axis=1), level)


def mean_interval(values: Sequence[float], level: float = LEVEL) -> tuple[float, float] | None:
    """The same for the mean."""
    return _interval(values, lambda sample: sample.mean(axis=1), level)


def _interval(values: Sequence[float], statistic: object, level: float) -> tuple[float, float] | None:
    if len(values) < 2:
        return None
    data = np.asarray(values, np.float64)
    picks = np.random.default_rng(2024).integers(0, len(data), (RESAMPLES, len(data)))
    found = statistic(data[picks])  # type: ignore[operator]
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


@dataclass(frozen=True, slots=True)
class Difference:
    """`second` against `first` on the same seeds: mean of (second - first), its interval, how sure it is.

    sure: 1 - p of the two-sided sign-flip test, 0 to 1. more_seeds: about how many more pairs would make it
    sure to 95 % four times out of five, if what was seen is true; None: no sensible number would.
    """

    first: str
    second: str
    n: int
    mean: float
    interval: tuple[float, float] | None
    sure: float
    more_seeds: int | None

    @property
    def is_told(self) -> bool:
        """Whether the two can be told apart."""
        return self.sure >= SURE_ENOUGH and self.mean != 0

    @property
    def words(self) -> str:
        """The difference as a sentence."""
        if self.n == 0:
            return f"{self.first} and {self.second} have no seed in common that both finished."
        if self.is_told:
            better, worse = (self.second, self.first) if self.mean > 0 else (self.first, self.second)
            by = f"{abs(self.mean):.3g} points"
            return f"{better} is better than {worse} by {by}, sure to {_percent(self.sure)}."
        apart = f"{self.first} and {self.second} cannot be told apart on {_seeds(self.n)}"
        if self.more_seeds is None:
            return f"{apart}; more seeds would hardly change that."
        return f"{apart}; about {self.more_seeds} more {'seed' if self.more_seeds == 1 else 'seeds'} would."


def difference(first: str, second: str, pairs: Sequence[tuple[float, float]]) -> Difference:
    """Compare two configurations by their (first, second) scores, one pair per seed."""
    if not pairs:
        return Difference(first, second, 0, 0.0, None, 0.0, None)
    gaps = np.asarray([b - a for a, b in pairs], np.float64)
    mean = float(gaps.mean())
    sure = 1.0 - sign_flip_p(gaps)
    more = None if sure >= SURE_ENOUGH else _more_seeds(gaps)
    return Difference(first, second, len(gaps), mean, mean_interval(list(gaps)), sure, more)


def sign_flip_p(gaps: Values) -> float:
    """Two-sided p: how often |mean| is at least as large when every difference may be turned around."""
    n = len(gaps)
    if n <= EXACT_PAIRS:
        patterns = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
    else:
        patterns = np.random.default_rng(2024).integers(0, 2, (2**EXACT_PAIRS, n))
        patterns[0] = 0  # the one that was seen
    means = np.abs((gaps * (1 - 2 * patterns)).mean(axis=1))
    return float(np.mean(means >= abs(gaps.mean()) - 1e-9))


def _more_seeds(gaps: Values) -> int | None:
    """Pairs that are missing for a test of this effect at 95 % with power 80 % (normal approximation)."""
    mean, spread = float(gaps.mean()), float(gaps.std(ddof=1)) if len(gaps) > 1 else 0.0
    if mean == 0 or not math.isfinite(spread):
        return None
    by_formula = math.ceil(((_Z_95 + _Z_POWER_80) * spread / mean) ** 2)
    needed = max(by_formula, 6)  # fewer than six pairs can never be sure to 95 %: 2 / 2^5 > 0.05
    more = max(1, needed - len(gaps))
    return more if more <= MAX_MORE_SEEDS else None


def _percent(share: float) -> str:
    """A share that is never rounded up to certainty."""
    return f"{min(99.9, math.floor(share * 1000) / 10):g} %"


def _seeds(n: int) -> str:
    return f"{n} seed{'' if n == 1 else 's'}"
