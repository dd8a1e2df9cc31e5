"""How long a call waits for data: connecting, the first token, and each token after it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from types import TracebackType

from moa_core.errors import TimedOut


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds until a call counts as stuck: connecting, the first token, and each token after it."""

    connect_s: float = 10.0
    first_token_s: float = 30.0
    between_tokens_s: float = 20.0


class Deadline:
    """Guards every wait for data: the first token has one limit, each one after it another.

    Keep-alives do not count: only `token_came` moves the limit.
    """

    def __init__(self, service: str, timeouts: Timeouts) -> None:
        self._service = service
        self._limit_s = timeouts.first_token_s
        self._between_s = timeouts.between_tokens_s
        self._phase = "first token"
        self._since = asyncio.get_running_loop().time()
        self._timeout: asyncio.Timeout | None = None

    def token_came(self) -> None:
        """From here on the limit between two tokens counts, from now."""
        self._phase, self._limit_s = "next token", self._between_s
        self._since = asyncio.get_running_loop().time()

    async def __aenter__(self) -> None:
        self._timeout = asyncio.timeout_at(self._since + self._limit_s)
        await self._timeout.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        assert self._timeout is not None
        try:
            await self._timeout.__aexit__(kind, exc, tb)
        except TimeoutError as error:
            message = f"{self._service}: no {self._phase} within {self._limit_s:g} s"
            raise TimedOut(message, self._phase, self._limit_s) from error
