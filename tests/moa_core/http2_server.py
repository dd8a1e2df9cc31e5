"""An HTTP/2 server over TLS: `python http2_server.py CERTIFICATE KEY`. Prints its port, stops with its input.

It answers every request with one event per connection and stream number: "connection 1 stream 3", after a
short while, so that requests sent together are open together.
"""

import asyncio
import json
import ssl
import sys

import h2.config
import h2.connection
import h2.events


class Connection(asyncio.Protocol):
    """One client."""

    count = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        Connection.count += 1
        self.number = Connection.count
        self.transport = transport
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        self.h2.initiate_connection()
        self.flush()

    def data_received(self, data: bytes) -> None:
        for event in self.h2.receive_data(data):
            if isinstance(event, h2.events.StreamEnded):
                asyncio.get_running_loop().call_later(0.1, self.answer, event.stream_id)
        self.flush()

    def answer(self, stream: int) -> None:
        text = f"connection {self.number} stream {stream}"
        choice = {"index": 0, "delta": {"content": text}, "finish_reason": "stop"}
        self.h2.send_headers(stream, [(":status", "200"), ("content-type", "text/event-stream")])
        self.h2.send_data(stream, b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n")
        self.h2.send_data(stream, b"data: [DONE]\n\n", end_stream=True)
        self.flush()

    def flush(self) -> None:
        self.transport.write(self.h2.data_to_send())


async def main(certificate: str, key: str) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["h2"])
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
