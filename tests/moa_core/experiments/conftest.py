"""Scorers and setups that experiments are tried with."""

from collections.abc import Callable

import pytest

from moa_core import Agent, Layer, MoAConfig
from moa_core.experiments import Score


def points(reply: str) -> Score:
    """The number at the end of a reply is its score, of 120."""
    return Score(float(reply.split()[-1]), 120.0, {"checks": [{"name": "length", "message": "too short"}]})


@pytest.fixture
def scorer() -> Callable[[str], Score]:
    return points


@pytest.fixture
def alone() -> Callable[..., MoAConfig]:
    """Makes one model that answers alone."""

    def make(model: str = "sum", **settings: object) -> MoAConfig:
        return MoAConfig(summarizer=Agent("S", model), strategy="single", **settings)  # type: ignore[arg-type]

    return make


@pytest.fixture
def layered() -> Callable[..., MoAConfig]:
    """Makes one layer of agents, one per model, and a summarizer."""

    def make(*models: str, summarizer: str = "sum", n_layers: int = 1) -> MoAConfig:
        layer = Layer(tuple(Agent(f"Agent {n}", model, "Answer.") for n, model in enumerate(models, 1)))
        return MoAConfig((layer,) * n_layers, Agent("S", summarizer, "Combine."))

    return make
