"""An httpx transport for hundreds of requests at once: several small connection pools instead of a large one.

httpcore's pool looks at every connection for every other one whenever a request comes or goes: a layer of 200
agents took 3.5 s instead of 1 s (`bench/orchestration.py`). Small pools keep that product small; over HTTP/2
the requests of a pool still share a connection.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.request import getproxies, proxy_bypass

import httpx

POOL_SIZE = 8  # requests at once per pool
SENDING_AT_ONCE = 8  # requests that connect or send at once; any number may wait for answers
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(slots=True)
class _Pool:
    """One of httpx's own transports, and how many requests it carries now."""

    transport: httpx.AsyncHTTPTransport
    n_running: int = 0


class PooledTransport(httpx.AsyncBaseTransport):
    """Gives each request to the first pool with room, so that sequential requests reuse one connection."""

    def __init__(self, url: httpx.URL) -> None:
        self._http2 = url.scheme == "https"
        # Reading the certificates takes longer than many a call; a plain http address needs none.
        self._ssl = httpx.create_ssl_context() if self._http2 else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._proxy = _proxy_for(url)
        self._pools: list[_Pool] = []
        self._sending = asyncio.Semaphore(SENDING_AT_ONCE)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        pool = next((pool for pool in self._pools if pool.n_running < POOL_SIZE), None)
        if pool is None:
            pool = _Pool(self._open())
            self._pools.append(pool)
        pool.n_running += 1
        try:
            async with _Turn(self._sending) as turn:
                request.extensions["trace"] = turn.on_progress
                response = await pool.transport.handle_async_request(request)
        except BaseException:
            pool.n_running -= 1
            raise
        assert isinstance(response.stream, httpx.AsyncByteStream)
        response.stream = _Counted(response.stream, pool)
        return response

    async def aclose(self) -> None:
        for pool in self._pools:
            await pool.transport.aclose()
        self._pools.clear()

    def _open(self) -> httpx.AsyncHTTPTransport:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        return httpx.AsyncHTTPTransport(verify=self._ssl, http2=self._http2, limits=limits, proxy=self._proxy)


class _Turn:
    """A place among the requests that are being sent, given back as soon as the request is out.

    Without it the event loop advances all requests step by step: the first leaves when the last does.
    """

    def __init__(self, sending: asyncio.Semaphore) -> None:
        self._sending = sending
        self._is_held = False

    async def on_progress(self, event: str, info: object) -> None:
        """Called by httpcore at every step of a request."""
        if event.endswith("receive_response_headers.started"):
            self._give_back()

    async def __aenter__(self) -> Self:
        await self._sending.acquire()
        self._is_held = True
        return self

    async def __aexit__(self, *_: object) -> None:
        self._give_back()

    def _give_back(self) -> None:
        if self._is_held:
            self._is_held = False
            self._sending.release()


class _Counted(httpx.AsyncByteStream):
    """A response body that gives its place in the pool back when it is closed."""

    def __init__(self, stream: httpx.AsyncByteStream, pool: _Pool) -> None:
        self._stream = stream
        self._pool: _Pool | None = pool

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._stream:
            yield part

    async def aclose(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.n_running -= 1
        await self._stream.aclose()


def _proxy_for(url: httpx.URL) -> str | None:
    """The proxy that the environment names for `url`; a proxy cannot reach this machine's own ports."""
    if url.host in LOOPBACK or proxy_bypass(url.host):
        return None
    proxies = getproxies()
    return proxies.get(url.scheme) or proxies.get("all")
