"""An httpx transport for hundreds of requests at once: several small connection pools instead of a large one.

httpcore's pool looks at every connection for every other one whenever a request comes or goes: a layer of 200
agents took 3.5 s instead of 1 s (`bench/orchestration.py`). Small pools keep that product small; over HTTP/2
the requests of a pool still share a connection.
"""

import asyncio
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.request import getproxies, proxy_bypass

import httpcore
import httpx

from moa_core.providers.plain_tcp import PlainTCP

POOL_SIZE = 8  # requests at once per pool
SENDING_AT_ONCE = 8  # requests that connect or send at once; any number may wait for answers
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def open_transport(url: httpx.URL, ssl_context: ssl.SSLContext | None) -> httpx.AsyncBaseTransport:
    """The transport for requests to `url`: through the proxy that the environment names, or directly.

    ssl_context: for https; making one takes longer than many a call, so the caller keeps it.
    """
    # A proxy cannot reach this machine's own ports.
    is_direct = url.host in LOOPBACK or bool(proxy_bypass(url.host))
    proxies = {} if is_direct else getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if proxy is not None:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        return httpx.AsyncHTTPTransport(verify=ssl_context or True, http2=True, limits=limits, proxy=proxy)
    return PooledTransport(ssl_context)


@dataclass(slots=True)
class _Pool:
    """A connection pool, and how many requests it carries now."""

    connections: httpcore.AsyncConnectionPool
    n_running: int = 0


class PooledTransport(httpx.AsyncBaseTransport):
    """Gives each request to the first pool with room, so that sequential requests reuse one connection."""

    def __init__(self, ssl_context: ssl.SSLContext | None = None) -> None:
        self._ssl = ssl_context
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
            with _as_httpx():
                async with _SendSlot(self._sending) as turn:
                    response = await pool.connections.handle_async_request(_to_httpcore(request, turn))
        except BaseException:
            pool.n_running -= 1
            raise
        assert isinstance(response.stream, AsyncIterable)
        return httpx.Response(
            response.status,
            headers=response.headers,
            stream=_Body(response, pool),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        for pool in self._pools:
            await pool.connections.aclose()
        self._pools.clear()

    def _open(self) -> httpcore.AsyncConnectionPool:
        return httpcore.AsyncConnectionPool(
            ssl_context=self._ssl,
            max_connections=None,
            keepalive_expiry=5.0,
            http2=self._ssl is not None,
            network_backend=None if self._ssl is not None else PlainTCP(),
        )


class _SendSlot:
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


class _Body(httpx.AsyncByteStream):
    """A response body that gives its place in the pool back when it is closed."""

    def __init__(self, response: httpcore.Response, pool: _Pool) -> None:
        self._response = response
        self._pool: _Pool | None = pool

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _as_httpx():
            async for part in self._response.aiter_stream():
                yield part

    async def aclose(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.n_running -= 1
        await self._response.aclose()


def _to_httpcore(request: httpx.Request, turn: _SendSlot) -> httpcore.Request:
    url = request.url
    return httpcore.Request(
        method=request.method,
        url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
        headers=request.headers.raw,
        content=request.stream,
        extensions={**request.extensions, "trace": turn.on_progress},
    )


@contextmanager
def _as_httpx() -> Iterator[None]:
    """httpcore's exceptions as httpx's, which have the same names."""
    try:
        yield
    except tuple(_EXCEPTIONS) as exc:
        kind = next(theirs for ours, theirs in _EXCEPTIONS.items() if isinstance(exc, ours))
        raise kind(str(exc)) from exc


# Most specific first.
_EXCEPTIONS: dict[type[Exception], type[httpx.TransportError]] = {
    httpcore.ConnectTimeout: httpx.ConnectTimeout,
    httpcore.ReadTimeout: httpx.ReadTimeout,
    httpcore.WriteTimeout: httpx.WriteTimeout,
    httpcore.PoolTimeout: httpx.PoolTimeout,
    httpcore.TimeoutException: httpx.TimeoutException,
    httpcore.ConnectError: httpx.ConnectError,
    httpcore.ReadError: httpx.ReadError,
    httpcore.WriteError: httpx.WriteError,
    httpcore.NetworkError: httpx.NetworkError,
    httpcore.ProxyError: httpx.ProxyError,
    httpcore.UnsupportedProtocol: httpx.UnsupportedProtocol,
    httpcore.LocalProtocolError: httpx.LocalProtocolError,
    httpcore.RemoteProtocolError: httpx.RemoteProtocolError,
    httpcore.ProtocolError: httpx.ProtocolError,
}
