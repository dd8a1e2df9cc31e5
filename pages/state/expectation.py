"""How long a run will take at most, from its token limits and from the speed that was seen here."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from moa_core import Agent, MoAConfig
from moa_core.runs.plan import dry_run
from moa_core.runs.trace import CallRecord
from pages.state.turn import Turn

# Weights read per second while a model writes, before anything was measured here: the slowest decode of
# docs/engine.md (SmolLM2, 98 MB at 151 tokens/s on two cores), and a third of that, because prompts are read
# too and machines are shared. Models of other sizes scale with their bytes.
BYTES_PER_S_TO_START_WITH = 5e9
CLOUD_TOKENS_PER_S = 300.0


@dataclass(frozen=True)
class Expectation:
    """Seconds of a run when every agent writes up to its limit. is_measured: from runs on this machine."""

    most_s: float
    is_measured: bool


def speeds(turns: Iterable[Turn]) -> dict[str, float]:
    """Tokens per second of one call, the median over the finished calls of each model."""
    rates: dict[str, list[float]] = {}
    for turn in turns:
        for record in turn.records:
            rate = call_speed(record)
            if rate is not None:
                rates.setdefault(record.model, []).append(rate)
    return {model: sorted(each)[len(each) // 2] for model, each in rates.items()}


def call_speed(record: CallRecord) -> float | None:
    """Tokens per second of a call, its wait included; None when it did not end or wrote next to nothing."""
    total_s = record.end_s - record.start_s
    if record.error or not record.completion_tokens or record.completion_tokens < 8 or total_s <= 0:
        return None
    return record.completion_tokens / total_s


def expect(config: MoAConfig, measured: Mapping[str, float], size_bytes: Mapping[str, int]) -> Expectation:
    """The longest that a run can take: layer after layer of what its strategy asks, each as long as its
    slowest call. Raises ConfigError for a strategy that there is not.
    """
    is_measured = all(model in measured for model in config.models)

    def seconds(model: str, tokens: int, n_calls: int) -> float:
        if model in measured:
            return tokens / measured[model]
        if model in size_bytes:
            return tokens * n_calls / (BYTES_PER_S_TO_START_WITH / size_bytes[model])
        return tokens / CLOUD_TOKENS_PER_S

    dry = asyncio.run(dry_run(config, ({"role": "user", "content": ""},)))
    layers: dict[int, list[Agent]] = {}
    for call in dry.calls:
        layers.setdefault(call.layer, []).append(call.task.agent)
    total_s = sum(
        max(seconds(agent.model, agent.max_tokens, len(agents)) for agent in agents)
        for agents in layers.values()
    )
    return Expectation(total_s, is_measured)
