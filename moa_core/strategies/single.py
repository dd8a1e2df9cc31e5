"""One model alone: what a Mixture of Agents is compared with."""

from moa_core.runs.strategy_context import Stage
from moa_core.strategies.base import Strategy


async def play(moa: Stage) -> str:
    """The summarizer answers the conversation by itself."""
    return await moa.summarize(())


STRATEGY = Strategy(
    name="single",
    description="The summarizer's model answers alone, for comparison.",
    play=play,
)
