"""Spread: one configuration over many seeds, because a single try is mostly luck."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any

from moa_core.config.values import MoAConfig
from moa_core.errors import ExperimentError
from moa_core.experiments.experiment import Experiment, seeds_of
from moa_core.experiments.statistics import median, median_interval
from moa_core.experiments.trial import Assignment, Providers, Scorer, Task, Trial
from moa_core.experiments.waves import run_wave
from moa_core.providers.model_info import TokenPrice
from moa_core.runs.prompts import Message, check_messages
from moa_core.runs.strategy_context import Checker

DEFAULT_SEEDS = 8
WAVE = 8  # trials that begin together
MIN_FOR_STOP = 6  # scores before an interval is believed to be narrow


@dataclass(frozen=True, slots=True)
class Spread:
    """How one configuration did. Everything is over the trials that have a score; `n_failed` did not get one.

    interval: 95 % bootstrap interval of the median, None for fewer than two scores. Tokens, seconds and
    dollars are medians per trial; dollars None: a price is not known. stopped_early: seeds were left over
    because the interval was narrow enough.
    """

    label: str
    trials: tuple[Trial, ...]
    stopped_early: bool = False

    @property
    def finished(self) -> tuple[Trial, ...]:
        """The trials with a score."""
        return tuple(trial for trial in self.trials if trial.score is not None)

    @property
    def values(self) -> tuple[float, ...]:
        """The scores, in the order of their seeds."""
        return tuple(trial.score.value for trial in self.trials if trial.score is not None)

    @property
    def maximum(self) -> float:
        """The points of a perfect reply, 0 when nothing was scored."""
        return max((trial.score.maximum for trial in self.trials if trial.score is not None), default=0.0)

    @property
    def median(self) -> float | None:
        """The middle score."""
        return median(self.values) if self.values else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Where the median lies with 95 % (percentile bootstrap)."""
        return median_interval(self.values)

    @property
    def n_failed(self) -> int:
        """Trials without a score."""
        return len(self.trials) - len(self.finished)

    @property
    def completion_tokens(self) -> float | None:
        """Tokens written per trial."""
        return _median([trial.completion_tokens for trial in self.finished])

    @property
    def prompt_tokens(self) -> float | None:
        """Tokens read per trial."""
        return _median([trial.prompt_tokens for trial in self.finished])

    @property
    def seconds(self) -> float | None:
        """Wall time per trial, together with the others of its wave."""
        return _median([trial.seconds for trial in self.finished])

    @property
    def dollars(self) -> float | None:
        """Dollars per trial."""
        costs = [trial.dollars for trial in self.finished]
        return None if any(cost is None for cost in costs) else _median([cost or 0.0 for cost in costs])

    @property
    def tokens_per_point(self) -> float | None:
        """Tokens written for each point of the median; None for a median of 0."""
        tokens = self.completion_tokens
        return tokens / self.median if tokens is not None and self.median else None

    def share_above(self, mark: float) -> float | None:
        """The share of tries with at least `mark` points."""
        return sum(value >= mark for value in self.values) / len(self.values) if self.values else None

    def to_dict(self, mark: float | None = None) -> dict[str, Any]:
        """Plain JSON data: the figures, and every trial in short."""
        return {
            "label": self.label,
            "median": self.median,
            "interval": self.interval,
            "maximum": self.maximum,
            "values": self.values,
            "seeds": [trial.seed for trial in self.trials],
            "failed": {str(trial.seed): trial.problem for trial in self.trials if trial.score is None},
            "share_above": None if mark is None else {"mark": mark, "share": self.share_above(mark)},
            "completion_tokens": self.completion_tokens,
            "prompt_tokens": self.prompt_tokens,
            "seconds": self.seconds,
            "dollars": self.dollars,
            "stopped_early": self.stopped_early,
        }


def spread(
    config: MoAConfig,
    messages: str | Sequence[Message],
    providers: Providers,
    scorer: Scorer,
    seeds: int | Sequence[int] = DEFAULT_SEEDS,
    executor: Executor | None = None,
    *,
    checker: Checker | None = None,
    prices: dict[str, TokenPrice] | None = None,
    narrow: float | None = None,
    label: str = "",
) -> Experiment[Spread]:
    """Run `config` over the seeds, in waves that begin together.

    narrow: stop after a wave when the interval of the median is at most so many points wide. Raises
    InvalidMessages, ConfigError and ExperimentError before the first trial; faults of trials are theirs.
    """
    task = task_of(messages, providers, scorer, checker, prices)
    name = label or config.name or "configuration"
    return Experiment(_spread(name, config, task, seeds_of(seeds), executor, narrow))


def _spread(
    label: str,
    config: MoAConfig,
    task: Task,
    seeds: tuple[int, ...],
    executor: Executor | None,
    narrow: float | None,
) -> Generator[Trial, None, Spread]:
    done: list[Trial] = []
    for wave in _waves(seeds):
        for trial in run_wave([Assignment(label, config, seed) for seed in wave], task, executor):
            done.append(trial)
            yield trial
        found = gathered(label, done)
        if narrow is not None and len(done) < len(seeds) and is_narrow(found, narrow):
            return replace(found, stopped_early=True)
    return gathered(label, done)


def gathered(label: str, trials: Sequence[Trial]) -> Spread:
    """The spread of those trials that carry the label, in the order of their seeds."""
    own = sorted((trial for trial in trials if trial.label == label), key=lambda trial: trial.seed)
    return Spread(label, tuple(own))


def is_narrow(found: Spread, width: float) -> bool:
    """Whether the interval of the median is at most `width` points wide, on enough scores to be believed."""
    interval = found.interval
    return interval is not None and len(found.values) >= MIN_FOR_STOP and interval[1] - interval[0] <= width


def task_of(
    messages: str | Sequence[Message],
    providers: Providers,
    scorer: Scorer,
    checker: Checker | None,
    prices: dict[str, TokenPrice] | None,
) -> Task:
    """What the trials have in common, checked. Raises InvalidMessages, ExperimentError."""
    if not callable(scorer):
        raise ExperimentError(f"the scorer is {scorer!r}; it must be a function of the reply")
    return Task(check_messages(messages), providers, scorer, checker, prices or {})


def _waves(seeds: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    for start in range(0, len(seeds), WAVE):
        yield seeds[start : start + WAVE]


def _median(values: Sequence[float]) -> float | None:
    return median(values) if values else None
