"""Mixture of Agents: layers in sequence, the agents of a layer together, the summarizer last.

Wang et al. 2024, arXiv 2406.04692; their proposers are our agents, their aggregator is our summarizer.
"""

from moa_core.runs.strategy_context import Part, Stage
from moa_core.strategies.base import Strategy


async def play(moa: Stage) -> str:
    """Each layer sees the answers of the one before it."""
    responses: tuple[str, ...] = ()
    for layer in moa.config.run_layers:
        outcomes = await moa.layer([Part(agent, responses) for agent in layer.agents])
        responses = tuple(outcome.passed_on for outcome in outcomes if outcome.error is None)
    return await moa.summarize(responses)


STRATEGY = Strategy(
    name="layered",
    description="Agents in layers that see the answers of the layer before; a summarizer combines the last.",
    play=play,
)
