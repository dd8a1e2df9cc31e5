"""One model alone: what a Mixture of Agents is compared with."""

from moa_core.config import MoAConfig
from moa_core.runtime import Run
from moa_core.strategies.base import Strategy


async def play(moa: Run) -> str:
    """The summarizer answers the conversation by itself."""
    return await moa.summarize(())


def count_layers(config: MoAConfig) -> int:
    return 0


STRATEGY = Strategy(
    name="single",
    description="The summarizer's model answers alone, for comparison.",
    play=play,
    count_layers=count_layers,
)
