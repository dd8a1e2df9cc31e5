"""What every experiment is to its caller: trials that stream as they end, then a result."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import Generic, TypeVar

from moa_core.errors import ExperimentError
from moa_core.experiments.trial import Trial

R = TypeVar("R")


class Experiment(Generic[R]):
    """An experiment that has not begun until it is iterated, or asked for its `result`.

    Iterating yields every trial as it ends; leaving early (`close`) stops what still runs. Not thread-safe.
    """

    def __init__(self, steps: Generator[Trial, None, R]) -> None:
        self._steps = steps
        self._result: R | None = None
        self._is_done = False

    def __iter__(self) -> Iterator[Trial]:
        return self

    def __next__(self) -> Trial:
        try:
            return next(self._steps)
        except StopIteration as end:
            if not self._is_done:
                self._is_done, self._result = True, end.value
            raise

    def result(self) -> R:
        """Go on to the end and return what came of it. Raises MoAError, and ExperimentError once closed."""
        for _ in self:
            continue
        if self._result is None:
            raise ExperimentError("the experiment was stopped before it had a result")
        return self._result

    def close(self) -> None:
        """Stop; harmless when it has ended."""
        self._steps.close()


def seeds_of(seeds: int | Sequence[int]) -> tuple[int, ...]:
    """The seeds 1 to n, or those given. Raises ExperimentError for none, or for one given twice."""
    if isinstance(seeds, bool) or (isinstance(seeds, int) and seeds < 1):
        raise ExperimentError(f"{seeds!r} seeds are asked for; an experiment needs at least one")
    found = tuple(range(1, seeds + 1)) if isinstance(seeds, int) else tuple(seeds)
    if not found or len(set(found)) != len(found):
        raise ExperimentError(f"the seeds are {list(found)!r}; give at least one, and each once")
    return found
