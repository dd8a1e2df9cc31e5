"""Compare: two or more configurations on the same seeds, paired, and in words."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from moa_core.config.values import MoAConfig
from moa_core.errors import ExperimentError
from moa_core.experiments.experiment import Experiment, seeds_of
from moa_core.experiments.spread import DEFAULT_SEEDS, Spread, gathered, task_of
from moa_core.experiments.statistics import Difference, difference
from moa_core.experiments.trial import Assignment, Providers, Scorer, Task, Trial
from moa_core.experiments.waves import run_wave
from moa_core.providers.model_info import TokenPrice
from moa_core.runs.prompts import Message
from moa_core.runs.strategy_context import Checker

SEEDS_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Comparison:
    """The spread of every configuration, and each pair of them on the seeds that both finished."""

    spreads: tuple[Spread, ...]
    differences: tuple[Difference, ...]

    @property
    def trials(self) -> tuple[Trial, ...]:
        """Every trial."""
        return tuple(trial for each in self.spreads for trial in each.trials)

    @property
    def words(self) -> str:
        """Every pair as a sentence."""
        return "\n".join(each.words for each in self.differences)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data."""
        return {
            "spreads": [each.to_dict() for each in self.spreads],
            "differences": [
                {
                    "first": each.first,
                    "second": each.second,
                    "pairs": each.n,
                    "mean": each.mean,
                    "interval": each.interval,
                    "sure": each.sure,
                    "more_seeds": each.more_seeds,
                    "words": each.words,
                }
                for each in self.differences
            ],
        }


def compare(
    configs: Sequence[MoAConfig],
    messages: str | Sequence[Message],
    providers: Providers,
    scorer: Scorer,
    seeds: int | Sequence[int] = DEFAULT_SEEDS,
    executor: Executor | None = None,
    *,
    checker: Checker | None = None,
    prices: dict[str, TokenPrice] | None = None,
    labels: Sequence[str] = (),
) -> Experiment[Comparison]:
    """Run every configuration on the same seeds. labels: what each is called; default: its own name.

    Raises InvalidMessages, ConfigError and ExperimentError before the first trial.
    """
    if len(configs) < 2:
        raise ExperimentError(f"a comparison needs at least two configurations, not {len(configs)}")
    task = task_of(messages, providers, scorer, checker, prices)
    named = dict(zip(labels_of(configs, labels), configs, strict=True))
    return Experiment(_compare(named, task, seeds_of(seeds), executor))


def _compare(
    named: dict[str, MoAConfig], task: Task, seeds: tuple[int, ...], executor: Executor | None
) -> Generator[Trial, None, Comparison]:
    done: list[Trial] = []
    for start in range(0, len(seeds), SEEDS_AT_ONCE):
        wave = seeds[start : start + SEEDS_AT_ONCE]
        assignments = [Assignment(label, config, seed) for label, config in named.items() for seed in wave]
        for trial in run_wave(assignments, task, executor):
            done.append(trial)
            yield trial
    return compared([gathered(label, done) for label in named])


def compared(spreads: Sequence[Spread]) -> Comparison:
    """The comparison of spreads that were made on the same seeds."""
    pairs = tuple(paired(first, second) for first, second in combinations(spreads, 2))
    return Comparison(tuple(spreads), pairs)


def paired(first: Spread, second: Spread) -> Difference:
    """`second` against `first` on the seeds that both finished."""
    one = {trial.seed: trial.score.value for trial in first.trials if trial.score is not None}
    other = {trial.seed: trial.score.value for trial in second.trials if trial.score is not None}
    return difference(first.label, second.label, [(one[seed], other[seed]) for seed in one if seed in other])


def labels_of(configs: Sequence[MoAConfig], labels: Sequence[str]) -> list[str]:
    """One label each: as given, else by name, else by letter; equal ones are told apart by a letter."""
    letters = [chr(ord("A") + number) for number in range(len(configs))]
    found = list(labels) or [config.name or letter for config, letter in zip(configs, letters, strict=True)]
    if len(found) != len(configs):
        raise ExperimentError(f"there are {len(configs)} configurations and {len(found)} labels")
    if len(set(found)) == len(found):
        return found
    return [f"{label} ({letter})" for label, letter in zip(found, letters, strict=True)]


def single_of(config: MoAConfig) -> MoAConfig:
    """The configuration's strongest counterpart without agents: the summarizer's model, alone."""
    return replace(
        config, strategy="single", name="One model alone", layers=(), roles={}, options={}, cycles=1
    )
