"""One model alone: what a Mixture of Agents is compared with."""

from moa_core.runs.strategy_context import StrategyContext
from moa_core.strategies.base import Strategy


async def answer(run: StrategyContext) -> str:
    """The summarizer answers the conversation by itself."""
    return await run.summarize(())


STRATEGY = Strategy(
    name="single",
    description="The summarizer's model answers alone, for comparison.",
    answer=answer,
)
