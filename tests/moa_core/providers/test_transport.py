"""Connections: HTTP/2 where it is offered, proxies, connections that the server closed, large bodies."""

import asyncio
import logging
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from moa_core import errors
from moa_core.providers import CallRequest, OpenAICompatible
from moa_core.providers.limiter import Limiters
from moa_core.providers.plain_tcp import MAX_BUFFERED_BYTES
from moa_core.providers.retry import RetryPolicy
from moa_core.providers.transport import PooledTransport, open_transport

KEY = "csk-s3cr3t-0123456789abcdef"


async def answer(provider: OpenAICompatible, model: str, text: str = "hi") -> str:
    request = CallRequest(model, ({"role": "user", "content": text},))
    return "".join([delta.text async for delta in provider.stream(request)])


@pytest.fixture
def secure_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An HTTP/2 server whose certificate was made for this test and is trusted in it."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed: no certificate can be made for the HTTP/2 server")
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "1",
        "-subj",
        "/CN=localhost",
    ]
    command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run(
        [*command, "-keyout", key, "-out", certificate], check=True, capture_output=True, timeout=60
    )
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    script = Path(__file__).parents[1].joinpath("http2_server.py")
    process = subprocess.Popen(
        [sys.executable, str(script), str(certificate), str(key)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    yield f"https://127.0.0.1:{int(process.stdout.readline())}"
    process.stdin.close()
    process.stdout.close()
    process.kill()
    process.wait()


async def test_http2_is_used_where_offered_and_its_logs_hold_no_key(secure_address, caplog):
    caplog.set_level(logging.DEBUG)
    provider = OpenAICompatible(secure_address, KEY, limiters=Limiters())

    async with provider:
        answers = await asyncio.gather(*(answer(provider, "m") for _ in range(5)))

    assert {text.rpartition(" ")[0] for text in answers} == {"connection 1 stream"}
    assert len(set(answers)) == 5
    assert "HTTP/2" in caplog.text
    assert KEY not in caplog.text
    # hpack would log the encoded headers, which anybody can decode.
    assert [record.name for record in caplog.records if record.name.startswith("hpack")] == []


async def test_certificate_that_nobody_trusts_is_refused(secure_address, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    provider = OpenAICompatible(secure_address, KEY, retry=RetryPolicy(attempts=1))

    with pytest.raises(errors.ConnectFailed, match="certificate"):
        await answer(provider, "m")


async def test_proxy_of_the_environment_is_used_for_others(server, monkeypatch):
    monkeypatch.setenv("http_proxy", server.address)
    provider = OpenAICompatible("http://models.invalid", retry=RetryPolicy(attempts=1))

    with pytest.raises(errors.ModelNotFound, match="no such page"):
        await answer(provider, "m")


async def test_proxy_of_the_environment_is_not_used_for_this_machine(cloud, monkeypatch, unused_port):
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{unused_port}")
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{unused_port}")

    assert await answer(cloud(), "echo") == "hi"


async def test_connection_that_the_server_closed_meanwhile_is_not_used_again():
    served = []

    async def serve(reader, writer):
        served.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as closing:
        url = f"http://127.0.0.1:{closing.sockets[0].getsockname()[1]}"
        async with httpx.AsyncClient(transport=PooledTransport()) as client:
            for _ in range(3):
                assert (await client.get(url)).text == "ok"
                await asyncio.sleep(0.05)

    assert len(served) == 3


async def test_large_bodies_arrive_whole_in_both_directions():
    sent, received = b"x" * (3 * MAX_BUFFERED_BYTES), []

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        received.append(await reader.readexactly(len(sent)))
        writer.write(f"HTTP/1.1 200 OK\r\ncontent-length: {len(sent)}\r\n\r\n".encode() + sent)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as large:
        url = f"http://127.0.0.1:{large.sockets[0].getsockname()[1]}"
        client = httpx.AsyncClient(transport=PooledTransport())
        async with client, client.stream("POST", url, content=sent) as response:
            await asyncio.sleep(0.1)  # the buffer fills up and reading pauses
            body = await response.aread()

    assert received == [sent]
    assert body == sent


async def test_more_requests_than_one_pool_holds_run_at_once(cloud, server):
    async with cloud() as provider:
        answers = await asyncio.gather(*(answer(provider, "slow:0.3") for _ in range(30)))

    assert answers == ["done"] * 30
    assert server.history()["most_running"]["slow:0.3"] == 30


def test_transport_depends_on_the_address(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)

    assert isinstance(open_transport(httpx.URL("http://example.org"), None), PooledTransport)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert isinstance(open_transport(httpx.URL("http://example.org"), None), httpx.AsyncHTTPTransport)
