"""A network backend of httpcore for plain TCP, for many connections to a server nearby.

httpcore's own (anyio) takes about twice as long per request, which delays a layer of 200 agents by a tenth of
a second. It stays in charge wherever there is TLS.
"""

import asyncio
import ssl
from collections.abc import Iterable
from typing import Any

import httpcore

MAX_BUFFERED_BYTES = 256 * 1024


class PlainTCP(httpcore.AsyncNetworkBackend):
    """Opens TCP connections on the running event loop."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address of `host` that answers. Raises ConnectError and ConnectTimeout."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout):
                _, connection = await loop.create_connection(
                    _Connection, host, port, happy_eyeballs_delay=0.25
                )
        except TimeoutError as exc:
            raise httpcore.ConnectTimeout(str(exc)) from exc
        except OSError as exc:
            raise httpcore.ConnectError(str(exc)) from exc
        return _SocketStream(connection)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _Connection(asyncio.Protocol):
    """What has arrived and was not read yet; one reader at a time."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.is_over = False
        self.fault: Exception | None = None
        self.transport: asyncio.Transport
        self._arrival: asyncio.Future[None] | None = None
        self._is_paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if len(self.buffer) > MAX_BUFFERED_BYTES and not self._is_paused:
            self._is_paused = True
            self.transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        self.is_over = True
        self._wake()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_over = True
        self.fault = exc
        self._wake()

    async def arrival(self) -> None:
        """Wait until there is something to read or the end."""
        self._arrival = asyncio.get_running_loop().create_future()
        try:
            await self._arrival
        finally:
            self._arrival = None

    def take(self, max_bytes: int) -> bytes:
        """Up to `max_bytes` of what has arrived."""
        data = bytes(self.buffer[:max_bytes])
        del self.buffer[:max_bytes]
        if self._is_paused and len(self.buffer) < MAX_BUFFERED_BYTES // 2 and not self.is_over:
            self._is_paused = False
            self.transport.resume_reading()
        return data

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)


class _SocketStream(httpcore.AsyncNetworkStream):
    """One connection as httpcore sees it."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        connection = self._connection
        if not connection.buffer and not connection.is_over:
            try:
                async with asyncio.timeout(timeout):
                    await connection.arrival()
            except TimeoutError as exc:
                raise httpcore.ReadTimeout(str(exc)) from exc
        if not connection.buffer and connection.fault is not None:
            raise httpcore.ReadError(str(connection.fault)) from connection.fault
        return connection.take(max_bytes)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if self._connection.is_over:
            raise httpcore.WriteError("the server has closed the connection")
        self._connection.transport.write(buffer)

    async def aclose(self) -> None:
        self._connection.transport.abort()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        raise NotImplementedError("plain connections only")

    def get_extra_info(self, info: str) -> Any:
        connection = self._connection
        if info == "is_readable":  # asked of idle connections: anything to read means that it cannot be used
            return connection.is_over or bool(connection.buffer)
        if info in ("client_addr", "server_addr"):
            return connection.transport.get_extra_info("sockname" if info == "client_addr" else "peername")
        return connection.transport.get_extra_info("socket") if info == "socket" else None
