"""Mixture of Agents: layers in sequence, the agents of a layer together, the summarizer last.

Wang et al. 2024, arXiv 2406.04692; their proposers are our agents, their aggregator is our summarizer.
"""

from moa_core.runs.strategy_context import AgentTask, StrategyContext
from moa_core.strategies.base import Strategy


async def answer(run: StrategyContext) -> str:
    """Each layer sees the answers of the one before it."""
    responses: tuple[str, ...] = ()
    for layer in run.config.run_layers:
        results = await run.layer([AgentTask(agent, responses) for agent in layer.agents])
        responses = tuple(result.passed_on for result in results if result.error is None)
    return await run.summarize(responses)


STRATEGY = Strategy(
    name="layered",
    description="Agents in layers that see the answers of the layer before; a summarizer combines the last.",
    answer=answer,
)
