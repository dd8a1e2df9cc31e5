"""A run made to its end and kept with all it takes to make it again: what a trial, a final and a submission
are made of."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from moa_core.config.values import MoAConfig
from moa_core.errors import MoAError
from moa_core.providers.base import Provider
from moa_core.runs.events import RunFailed, RunFinished
from moa_core.runs.orchestrator import run_sync
from moa_core.runs.prompts import Message
from moa_core.runs.strategy_context import Checker
from moa_core.runs.trace import Trace

N_SEEDS = 2**31 - 1  # fresh ones are below, like those of calls (seeds.py)
STOPPED = "stopped before it ended"


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """A run that has ended: what it was made from, what it wrote, and what its calls took.

    config: with the seed of the run. problem: why there is no reply; "" when there is one. seconds: wall
    time, what was done before the first call included.
    """

    config: MoAConfig
    messages: tuple[Message, ...]
    reply: str
    trace: Trace
    seconds: float
    problem: str = ""

    def provenance(self) -> dict[str, Any]:
        """Plain data: all it takes to make the run again, and what it took.

        config: JSON of the whole setup, seed: what it was made with. backend: who ran the models. tokens:
        written in all calls, prompt_tokens: read in all. cost_usd: None where no price is known.
        """
        trace = self.trace
        return {
            "config": self.config.to_json(),
            "messages": self.messages,
            "seed": self.config.seed,
            "backend": ", ".join(trace.providers),
            "models": trace.models,
            "reply": self.reply,
            "tokens": trace.completion_tokens,
            "duration_s": trace.total_s,
            "prompt_tokens": trace.prompt_tokens,
            "n_calls": len(trace.calls),
            "strategy": str(self.config.strategy),
            "cost_usd": trace.cost_usd,
        }


def with_seed(config: MoAConfig) -> MoAConfig:
    """`config` with a seed: a fresh one, unless it has its own. Without one no run can be made again."""
    return config if config.seed is not None else replace(config, seed=secrets.randbelow(N_SEEDS))


def run_to_end(
    config: MoAConfig,
    messages: Sequence[Message],
    providers: Provider | Sequence[Provider],
    checker: Checker | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> FinishedRun:
    """Make a run; whatever fails on the way is its `problem`, not an exception.

    should_stop: asked between two events; a run that is stopped keeps nothing.
    """
    began = time.monotonic()
    trace, reply, problem = Trace((), 0.0), "", ""
    try:
        with closing(run_sync(config, messages, providers, checker)) as events:
            for event in events:
                if should_stop is not None and should_stop():
                    problem = STOPPED
                    break
                if isinstance(event, RunFinished):
                    reply, trace = event.answer, event.trace
                elif isinstance(event, RunFailed):
                    problem, trace = event.message, event.trace
    except MoAError as exc:
        problem = str(exc)
    return FinishedRun(config, tuple(messages), reply, trace, time.monotonic() - began, problem)
