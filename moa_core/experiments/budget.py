"""What a search may spend: calls, minutes or dollars, and what it has spent."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

from moa_core.errors import ExperimentError
from moa_core.experiments.trial import Trial

_PART = re.compile(r"\s*([\d.]+)\s*(calls?|min(?:utes?)?|m|dollars?|usd|\$)\s*,?", re.IGNORECASE)
_KINDS = {"c": "calls", "m": "minutes", "d": "dollars", "u": "dollars", "$": "dollars"}


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that may be spent; whichever runs out first ends the search. None: no limit of that kind.

    Raises ExperimentError for a limit that is not above zero, and for no limit at all.
    """

    calls: int | None = None
    minutes: float | None = None
    dollars: float | None = None

    def __post_init__(self) -> None:
        limits = {"calls": self.calls, "minutes": self.minutes, "dollars": self.dollars}
        given = {kind: limit for kind, limit in limits.items() if limit is not None}
        if not given:
            raise ExperimentError("a search needs a budget: calls, minutes or dollars")
        for kind, limit in given.items():
            if isinstance(limit, bool) or not math.isfinite(limit) or limit <= 0:
                raise ExperimentError(f"the budget is {limit!r} {kind}; it must be above zero")

    @classmethod
    def from_text(cls, text: str) -> Budget:
        """Read "400 calls", "20 minutes", "2 dollars" or several of them. Raises ExperimentError."""
        found: dict[str, float] = {}
        rest = text
        while match := _PART.match(rest):
            found[_KINDS[match[2][0].lower()]] = _number(match[1], text)
            rest = rest[match.end() :]
        if not found or rest.strip():
            raise ExperimentError(
                f"the budget is {text!r}; write for example '400 calls', '20 minutes' or '2 dollars'"
            )
        calls = found.pop("calls", None)
        return cls(None if calls is None else int(calls), **found)

    def tries_left(self, spent: Spent, per_try: Spent) -> float:
        """How many more tries like `per_try` fit after `spent`; infinite where nothing is used."""
        pairs = (
            (self.calls, spent.calls, per_try.calls),
            (self.minutes, spent.minutes, per_try.minutes),
            (self.dollars, spent.dollars, per_try.dollars),
        )
        fits = [(limit - used) / each for limit, used, each in pairs if limit is not None and each > 0]
        return max(0.0, min(fits, default=math.inf))

    def is_spent(self, spent: Spent) -> bool:
        """Whether a limit is reached."""
        pairs = (
            (self.calls, spent.calls),
            (self.minutes, spent.minutes),
            (self.dollars, spent.dollars),
        )
        return any(limit is not None and used >= limit for limit, used in pairs)


@dataclass(frozen=True, slots=True)
class Spent:
    """Calls made, minutes passed and dollars paid."""

    calls: float = 0.0
    minutes: float = 0.0
    dollars: float = 0.0

    def with_trial(self, trial: Trial, budget: Budget) -> Spent:
        """With what a trial took; minutes are told by the clock, since trials run side by side.

        Raises ExperimentError when the budget is in dollars and the trial's cost is not known.
        """
        if budget.dollars is not None and trial.dollars is None:
            raise ExperimentError(
                "the budget is in dollars, but a model of this search has no known price; give its price, or "
                "a budget in calls or minutes"
            )
        return replace(self, calls=self.calls + trial.n_calls, dollars=self.dollars + (trial.dollars or 0.0))


def _number(text: str, whole: str) -> float:
    try:
        return float(text)
    except ValueError as exc:
        raise ExperimentError(f"the budget is {whole!r}; {text!r} is no number") from exc
