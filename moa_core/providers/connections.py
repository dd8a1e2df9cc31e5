"""The connections of a provider: a client for each event loop, kept open while somebody uses it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import httpx


@dataclass(slots=True)
class _Shared:
    """The client of one event loop and how many use it."""

    client: httpx.AsyncClient
    users: int = 0


class Connections:
    """One client per event loop, closed by its last user. Thread-safe: each loop has its own."""

    def __init__(self, open_client: Callable[[], httpx.AsyncClient]) -> None:
        self._open_client = open_client
        self._lock = threading.Lock()
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, _Shared] = WeakKeyDictionary()
        self._held: WeakKeyDictionary[
            asyncio.AbstractEventLoop, list[AbstractAsyncContextManager[httpx.AsyncClient]]
        ] = WeakKeyDictionary()

    async def hold(self) -> None:
        """Keep this loop's client open until `let_go`."""
        session = self.session()
        await session.__aenter__()
        with self._lock:
            self._held.setdefault(asyncio.get_running_loop(), []).append(session)

    async def let_go(self) -> None:
        """End the newest `hold` of this loop."""
        with self._lock:  # what was entered on another event loop can only be closed there
            session = self._held[asyncio.get_running_loop()].pop()
        await session.__aexit__(None, None, None)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[httpx.AsyncClient]:
        """This loop's client, open until its last user has left."""
        loop = asyncio.get_running_loop()
        with self._lock:
            shared = self._clients.get(loop)
            if shared is None:
                shared = self._clients[loop] = _Shared(self._open_client())
            shared.users += 1
        try:
            yield shared.client
        finally:
            with self._lock:
                shared.users -= 1
                is_last = shared.users == 0
                if is_last:
                    del self._clients[loop]
            if is_last:
                await shared.client.aclose()
