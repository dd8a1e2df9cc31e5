"""Ablate: leave out each agent, each layer and the summarizer's instruction, and see what is missed.

Every call keeps the seed that it has in the whole, so that what stands before a change gets the same request
and its answer is taken from the whole's trial instead of being made again.
"""

from __future__ import annotations

import copy
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from moa_core.config.values import MoAConfig
from moa_core.errors import ExperimentError, MoAError
from moa_core.experiments.compare import paired
from moa_core.experiments.experiment import Experiment, seeds_of
from moa_core.experiments.similarity import mean_likeness
from moa_core.experiments.spread import DEFAULT_SEEDS, Spread, gathered, task_of
from moa_core.experiments.statistics import Difference, difference, median, median_interval
from moa_core.experiments.trial import Assignment, Providers, Scorer, Task, Trial, scored
from moa_core.experiments.waves import run_wave
from moa_core.providers.model_info import TokenPrice
from moa_core.runs.prompts import HELPER_PLACEHOLDER, Message
from moa_core.runs.seeds import call_seed
from moa_core.runs.strategy_context import SUMMARIZER, Checker
from moa_core.runs.trace import CallRecord

WHOLE = "the whole"
SEEDS_AT_ONCE = 8
SCORERS = 4  # agents' answers that are scored at a time


@dataclass(frozen=True, slots=True)
class Part:
    """Something that can be left out: an agent (both numbers), a layer, or the summarizer's instruction."""

    name: str
    layer: int | None = None
    index: int | None = None

    @property
    def label(self) -> str:
        """What the variant without it is called."""
        return f"without {self.name}"


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one part gives: the variant without it, and the whole against that, in points."""

    part: Part
    without: Spread
    gain: Difference


@dataclass(frozen=True, slots=True)
class AgentScore:
    """What an agent's own answers are worth. gain: the whole against them; layer, index: where it stands."""

    name: str
    layer: int
    index: int
    values: tuple[float, ...]
    gain: Difference

    @property
    def median(self) -> float | None:
        """The middle score of its answers."""
        return median(self.values) if self.values else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Where that lies with 95 %."""
        return median_interval(self.values)


@dataclass(frozen=True, slots=True)
class Ablation:
    """The whole, what each part gives, what each agent's answers are worth alone, and how alike they are.

    likeness: float64 (n, n) in the order of `names`.
    """

    whole: Spread
    contributions: tuple[Contribution, ...]
    agents: tuple[AgentScore, ...]
    names: tuple[str, ...]
    likeness: npt.NDArray[np.float64]

    @property
    def trials(self) -> tuple[Trial, ...]:
        """Every trial, those of the whole first."""
        parts = [trial for each in self.contributions for trial in each.without.trials]
        return (*self.whole.trials, *parts)

    @property
    def best_single(self) -> AgentScore | None:
        """The first layer's agent with the best answers: it would have been enough to ask that one alone."""
        first = [agent for agent in self.agents if agent.layer == 1 and agent.values]
        return max(first, key=lambda agent: agent.median or 0.0, default=None)

    @property
    def words(self) -> str:
        """The findings as sentences, the best single agent first."""
        best = self.best_single
        lines = [] if best is None else [best.gain.words]
        return "\n".join([*lines, *(each.gain.words for each in self.contributions)])

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data."""
        best = self.best_single
        return {
            "whole": {**self.whole.to_dict(), "tokens_per_point": self.whole.tokens_per_point},
            "parts": [
                {
                    "name": each.part.name,
                    "gain": each.gain.mean,
                    "interval": each.gain.interval,
                    "sure": each.gain.sure,
                    "words": each.gain.words,
                    "without": {
                        **each.without.to_dict(),
                        "tokens_per_point": each.without.tokens_per_point,
                        "reused_calls": sum(trial.n_reused for trial in each.without.trials),
                    },
                }
                for each in self.contributions
            ],
            "agents": [
                {"name": each.name, "layer": each.layer, "values": each.values, "median": each.median}
                for each in self.agents
            ],
            "best_single": None if best is None else best.name,
            "words": self.words,
            "likeness": {"names": self.names, "matrix": np.nan_to_num(self.likeness).round(4).tolist()},
        }


def ablate(
    config: MoAConfig,
    messages: str | Sequence[Message],
    providers: Providers,
    scorer: Scorer,
    seeds: int | Sequence[int] = DEFAULT_SEEDS,
    executor: Executor | None = None,
    *,
    checker: Checker | None = None,
    prices: dict[str, TokenPrice] | None = None,
) -> Experiment[Ablation]:
    """Run `config` over the seeds, whole and without each of its parts.

    Raises ExperimentError for a configuration that has no layers to leave out, InvalidMessages, ConfigError.
    """
    if config.strategy != "layered" or not config.layers:
        raise ExperimentError(
            f"there is nothing to leave out: the setup uses the strategy {config.strategy!r} and has "
            f"{len(config.layers)} layers; ablation takes a layered setup with at least one layer"
        )
    task = task_of(messages, providers, scorer, checker, prices)
    return Experiment(_ablate(config, task, seeds_of(seeds), executor))


def _ablate(
    config: MoAConfig, task: Task, seeds: tuple[int, ...], executor: Executor | None
) -> Generator[Trial, None, Ablation]:
    parts = parts_of(config)
    done: list[Trial] = []
    for start in range(0, len(seeds), SEEDS_AT_ONCE):
        wave = seeds[start : start + SEEDS_AT_ONCE]
        wholes = [Assignment(WHOLE, without(config, seed), seed) for seed in wave]
        for trial in run_wave(wholes, task, executor):
            done.append(trial)
            yield trial
        known = {trial.seed: trial.answers for trial in done if trial.label == WHOLE}
        variants = [
            Assignment(part.label, without(config, seed, part), seed, known.get(seed, {}))
            for part in parts
            for seed in wave
        ]
        for trial in run_wave(variants, task, executor):
            done.append(trial)
            yield trial
    whole = gathered(WHOLE, done)
    spreads = [(part, gathered(part.label, done)) for part in parts]
    names, likeness = mean_likeness([_answers(trial) for trial in whole.trials])
    return Ablation(
        whole,
        tuple(Contribution(part, each, paired(each, whole)) for part, each in spreads),
        tuple(_agent_scores(whole, task)),
        names,
        likeness,
    )


def parts_of(config: MoAConfig) -> list[Part]:
    """What can be left out: agents that are not alone, layers beside others, the summarizer's prompt."""
    layers = config.run_layers
    many = len(layers) > 1
    parts = [
        Part(f"{agent.name}, layer {number}" if many else agent.name, number, index)
        for number, layer in enumerate(layers, start=1)
        for index, agent in enumerate(layer.agents)
        if len(layer.agents) > 1
    ]
    if many:
        parts += [Part(f"layer {number}", number) for number in range(1, len(layers) + 1)]
    if config.summarizer.prompt.replace(HELPER_PLACEHOLDER, "").strip():
        parts.append(Part("the summarizer's instruction"))
    return parts


def without(config: MoAConfig, seed: int, part: Part | None = None) -> MoAConfig:
    """`config` for one seed without `part`, every call with the seed that it has in the whole."""
    data = config.to_dict()
    layers = [copy.deepcopy(layer["agents"]) for layer in data["layers"]] * config.cycles
    layers = [
        [_seeded(agent, call_seed(seed, number, index)) for index, agent in enumerate(layer)]
        for number, layer in enumerate(layers, start=1)
    ]
    summarizer = _seeded(data["summarizer"], call_seed(seed, len(layers) + 1, 0))
    if part is not None:
        if part.layer is None:
            summarizer["prompt"] = HELPER_PLACEHOLDER
        elif part.index is None:
            del layers[part.layer - 1]
        else:
            del layers[part.layer - 1][part.index]
    own = {**data, "cycles": 1, "layers": [{"agents": layer} for layer in layers], "summarizer": summarizer}
    return MoAConfig.from_json(own)


def _seeded(agent: dict[str, Any], seed: int) -> dict[str, Any]:
    """The agent with the seed of its place, unless it has one of its own."""
    return {"seed": seed, **{key: value for key, value in agent.items() if value is not None}}


def _agent_calls(trial: Trial) -> Iterator[tuple[tuple[str, int, int], CallRecord]]:
    """Each agent's answer in a trial, by its name and place."""
    many = max((call.layer for call in trial.trace.calls if call.role != SUMMARIZER), default=1) > 1
    for call in trial.trace.calls:
        if call.role != SUMMARIZER and call.error is None:
            name = f"{call.agent}, layer {call.layer}" if many else call.agent
            yield (name, call.layer, call.index), call


def _answers(trial: Trial) -> Mapping[str, str]:
    """Every answer of a trial by its name, the summarizer's last."""
    own = {name: call.text for (name, _, _), call in _agent_calls(trial)}
    return {**own, "the answer": trial.reply} if trial.reply else own


def _agent_scores(whole: Spread, task: Task) -> Iterator[AgentScore]:
    """Score what every agent said in the trials of the whole; nothing is asked anew."""
    texts = [(place, trial, call.text) for trial in whole.finished for place, call in _agent_calls(trial)]
    with ThreadPoolExecutor(SCORERS, thread_name_prefix="score") as pool:
        values = list(pool.map(lambda item: _value(task, item[2]), texts))
    found: dict[tuple[str, int, int], list[tuple[float, float]]] = {}
    for (place, trial, _), value in zip(texts, values, strict=True):
        if value is not None and trial.score is not None:
            found.setdefault(place, []).append((value, trial.score.value))
    for (name, layer, index), pairs in found.items():
        alone = f"{name} alone"
        own = tuple(value for value, _ in pairs)
        yield AgentScore(name, layer, index, own, difference(alone, WHOLE, pairs))


def _value(task: Task, text: str) -> float | None:
    try:
        return scored(task.scorer, text).value
    except MoAError:
        return None
