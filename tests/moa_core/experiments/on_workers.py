"""What the workers of a test cluster import: providers and a scorer, by name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from moa_core.experiments import Score
from moa_core.providers import CallRequest, Delta, Finish, TokenUsage

ANSWER_S = 0.3


class Slow:
    """Answers after a while."""

    name = "slow"

    async def models(self) -> list[str]:
        return ["slow"]

    async def stream(self, request: CallRequest) -> AsyncIterator[Delta]:
        await asyncio.sleep(ANSWER_S)
        yield Delta(text=f"score {request.seed}", finish=Finish(usage=TokenUsage(1, 2)))


def slow_providers() -> list[Slow]:
    return [Slow()]


def points(reply: str) -> Score:
    return Score(float(reply.split()[-1]) % 100, 100.0)
