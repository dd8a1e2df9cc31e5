"""A server that speaks the OpenAI chat protocol and can be asked to fail: the model's name says how.

Run as a process of its own: `python openai_server.py`; it prints its port, serves 127.0.0.1, and stops with
its standard input. `GET /history` lists the chat requests it saw. Models, N and S being numbers:

say:TEXT        the text, word by word          echo          the last user message
slow:S          "done" after S seconds          count:N       N words
status:CODE     always this status              flaky:CODE:N  N times this status, then "recovered"
wait:CODE:S     as flaky with N=1, asking to wait S seconds
limited:N       429 when more than N requests run at once
hang            nothing, ever                   hang-after:N  N words, then nothing
keep-alive      comments, never a word          endless       words until the client leaves
drop:N          N words, then the connection breaks
cut:TEXT        the text, ended by the token limit
priced:D:TEXT   the text, and in its usage what it cost: D dollars
early:N         N words, then a clean end without a finish
garbage         an event that is no JSON        error:N       N words, then an error object
empty           no text at all                  bytes         odd bytes: see `odd_bytes`
think           <think> in the text, cut up     field:NAME    thinking in the field NAME
ponder:N        N words of thinking, then an answer, unless the last message asks for the answer alone
document        no stream, one JSON document    json:A|B      the first time A, then B (valid JSON or not)
no-schema       refuses response_format by name leak          401 that repeats the key
html            502 with an HTML page           context       400: too long
page            an HTML page where a stream was expected
limits:S        x-ratelimit headers: nothing left for S seconds
"""

import asyncio
import contextlib
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter
LISTED = ["echo", "say:hello", "think"]


class Refusal(Exception):
    """An HTTP status other than 200."""

    def __init__(
        self, status: int, message: str, headers: dict[str, str] | None = None, is_html: bool = False
    ):
        super().__init__(message)
        self.status = status
        self.headers = headers or {}
        self.is_html = is_html

    @property
    def body(self) -> Any:
        """The message as it is when it is JSON, else inside of an error object."""
        text = str(self)
        return json.loads(text) if text.startswith("{") else {"error": {"message": text}}


class Broken(Exception):
    """The connection is to be cut."""


class Server:
    """What was asked so far."""

    def __init__(self) -> None:
        self.history: list[dict[str, Any]] = []
        self.calls: Counter[str] = Counter()
        self.running: Counter[str] = Counter()
        self.most_running: Counter[str] = Counter()
        self.connections = 0
        self.open_connections = 0

    async def serve(self, reader: Reader, writer: Writer) -> None:
        self.connections += 1
        self.open_connections += 1
        number = self.connections
        try:
            while (request := await read_request(reader)) is not None:
                await self.answer(*request, number, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, Broken):
            writer.transport.abort()
        finally:
            self.open_connections -= 1
            writer.close()

    async def answer(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        number: int,
        reader: Reader,
        writer: Writer,
    ) -> None:
        if path == "/history":
            facts = {
                "requests": self.history,
                "most_running": self.most_running,
                "connections": self.connections,
            }
            return await reply(writer, 200, facts | {"open_connections": self.open_connections})
        if path == "/v1/models" and headers.get("authorization") == "Bearer wrong":
            return await reply(writer, 401, {"error": {"message": "wrong key wrong"}})
        if path == "/v1/models":
            data = [{"id": name, "object": "model", "context_window": 4096} for name in LISTED]
            return await reply(writer, 200, {"object": "list", "data": data})
        if path != "/v1/chat/completions" or method != "POST":
            return await reply(writer, 404, {"error": {"message": "no such page"}})
        request = json.loads(body)
        entry = {
            "body": request,
            "key": headers.get("authorization", ""),
            "connection": number,
            "left": False,
        }
        self.history.append(entry)
        model = request["model"]
        self.calls[model] += 1
        self.running[model] += 1
        self.most_running[model] = max(self.most_running[model], self.running[model])
        watch = asyncio.create_task(self.watch(reader, entry))
        try:
            await self.chat(request, entry, writer)
        finally:
            self.running[model] -= 1
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch

    async def watch(self, reader: Reader, entry: dict[str, Any]) -> None:
        """Notes when the client leaves while it is being answered; nothing else comes from it meanwhile."""
        with contextlib.suppress(ConnectionError):
            await reader.read(1)
        entry["left"] = True

    async def chat(self, request: dict[str, Any], entry: dict[str, Any], writer: Writer) -> None:
        try:
            pieces = self.behave(request, entry)
            first = await anext(pieces, None)
        except Refusal as refusal:
            content: Any = "<html><body>Bad gateway</body></html>" if refusal.is_html else refusal.body
            return await reply(writer, refusal.status, content, refusal.headers)
        if first == b"<html>":
            return await reply(writer, 200, "<html><body>Welcome</body></html>")
        if isinstance(first, dict) and "document" in first:
            return await reply(writer, 200, first["document"])
        extra = first.pop("headers", {}) if isinstance(first, dict) else {}
        head = {"content-type": "text/event-stream", "transfer-encoding": "chunked", **extra}
        writer.write(
            b"HTTP/1.1 200 OK\r\n" + b"".join(f"{k}: {v}\r\n".encode() for k, v in head.items()) + b"\r\n"
        )
        piece = first
        while piece is not None:
            data = piece if isinstance(piece, bytes) else b"data: " + json.dumps(piece).encode() + b"\n\n"
            if data and data != b"data: {}\n\n":
                writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
                await writer.drain()
            if entry["left"]:
                raise Broken
            piece = await anext(pieces, None)
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return None

    async def behave(self, request: dict[str, Any], entry: dict[str, Any]) -> AsyncIterator[Any]:
        kind, _, rest = request["model"].partition(":")
        nth = self.calls[request["model"]]
        last = request["messages"][-1]["content"]
        if kind in ("status", "flaky", "wait", "limited", "leak", "html", "context", "no-schema"):
            self.maybe_refuse(kind, rest, nth, request, entry)
        texts = {
            "say": rest,
            "echo": last,
            "flaky": "recovered",
            "wait": "recovered",
            "limited": "done",
            "slow": "done",
        }
        if kind == "slow":
            await asyncio.sleep(float(rest))
        if kind == "limited":
            await asyncio.sleep(0.02)
        if kind in texts:
            for piece in words(texts[kind]):
                yield piece
        elif kind == "no-schema":
            yield delta('{"n": 1}')
        elif kind == "count":
            for i in range(int(rest)):
                yield delta(f"w{i} ")
        elif kind == "json":
            yield delta(rest.split("|")[min(nth, rest.count("|") + 1) - 1])
        elif kind == "limits":
            yield {
                "headers": {
                    "x-ratelimit-remaining-requests-minute": "0",
                    "x-ratelimit-reset-requests-minute": rest,
                }
            }
            yield delta("done")
        elif kind == "document":
            usage = {"prompt_tokens": 3, "completion_tokens": 1}
            message = {"role": "assistant", "content": "whole"}
            yield {
                "document": {
                    "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                    "usage": usage,
                }
            }
        elif kind == "priced":
            cost, _, text = rest.partition(":")
            for piece in words(text):
                yield piece
            yield {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
            yield {"choices": [], "usage": {**USAGE, "cost": float(cost)}}
            yield b"data: [DONE]\n\n"
            return
        elif kind == "page":
            yield b"<html>"
        elif kind == "bytes":
            for byte in odd_bytes():
                yield bytes([byte])
            return
        elif kind == "cut":
            for piece in words(rest):
                yield piece
            yield {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}
            yield b"data: [DONE]\n\n"
            return
        elif kind in ("think", "field", "ponder"):
            for piece in thinking(kind, rest, last):
                yield piece
        elif kind != "empty":
            async for piece in faults(kind, rest):
                yield piece
            return
        yield {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        yield {"choices": [], "usage": USAGE, "time_info": TIME_INFO}
        yield b"data: [DONE]\n\n"

    def maybe_refuse(
        self, kind: str, rest: str, nth: int, request: dict[str, Any], entry: dict[str, Any]
    ) -> None:
        code, _, number = rest.partition(":")
        if kind == "status" or (kind == "flaky" and nth <= int(number)):
            raise Refusal(int(code), f"refused with {code}")
        if kind == "wait" and nth == 1:
            raise Refusal(int(code), "slow down", {"retry-after": number})
        if kind == "limited" and self.running[request["model"]] > int(rest):
            raise Refusal(429, "too many at once")
        if kind == "leak":
            raise Refusal(401, f"the key {entry['key'].removeprefix('Bearer ')} is not valid")
        if kind == "html":
            raise Refusal(502, "", is_html=True)
        if kind == "context":
            raise Refusal(400, "This model's maximum context length is 8192 tokens, you sent 9000")
        if kind == "no-schema" and "response_format" in request:
            raise Refusal(400, "unknown field: response_format")


USAGE = {
    "prompt_tokens": 11,
    "completion_tokens": 7,
    "prompt_tokens_details": {"cached_tokens": 5},
    "completion_tokens_details": {"reasoning_tokens": 2},
}
TIME_INFO = {"queue_time": 0.001, "prompt_time": 0.002, "completion_time": 0.003, "total_time": 0.006}


def delta(text: str, field: str = "content") -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {field: text}, "finish_reason": None}]}


def words(text: str) -> list[dict[str, Any]]:
    return [delta(word if i == 0 else " " + word) for i, word in enumerate(text.split(" "))]


def odd_bytes() -> bytes:
    """Every liberty of the event format: byte-order mark, CR and CRLF, comments, fields, two data lines."""
    one = json.dumps(delta("héllo "), ensure_ascii=False).encode()
    two = json.dumps(delta("wörld 🙂"), ensure_ascii=False).encode()
    head, tail = two[:12], two[12:].lstrip()
    return (
        b"\xef\xbb\xbf: connected\r\n\r\n:\r\rid: 1\nevent: message\ndata:"
        + one
        + b"\r\n\r\n: keep-alive\n\n"
        b"retry: 100\ndata: " + head + b"\ndata: " + tail + b"\n\ndata: [DONE]\n\ndata: not for anyone\n\n"
    )


def thinking(kind: str, rest: str, last: str) -> list[dict[str, Any]]:
    if kind == "think":
        return [delta(piece) for piece in ("<th", "ink>let me ", "see</", "thi", "nk>\n\nfour < five")]
    if kind == "field":
        return [delta("let me ", rest), delta("see", rest), delta("four")]
    if "final answer" in last:
        return words("enough: four")
    return [delta(f"hm{i} ", "reasoning") for i in range(int(rest))] + words("at last")


async def faults(kind: str, rest: str) -> AsyncIterator[Any]:
    if kind in ("hang-after", "drop", "early", "error"):
        for i in range(int(rest)):
            yield delta(f"part{i} ")
    if kind == "drop":
        await asyncio.sleep(0.05)  # what was written must arrive before the break
        raise Broken
    if kind == "error":
        yield {"error": {"message": "the model crashed", "code": 500}}
    elif kind == "garbage":
        yield b"data: {this is no JSON\n\n"
    elif kind in ("hang", "hang-after"):
        await asyncio.sleep(3600)
    elif kind == "endless":
        while True:
            yield delta("word ")
            await asyncio.sleep(0.005)
    elif kind == "keep-alive":
        while True:
            yield b": still here\n\n"
            await asyncio.sleep(0.02)
    elif kind != "early" and kind != "drop":
        raise Refusal(404, f"The model {kind} does not exist")


async def read_request(reader: Reader) -> tuple[str, str, dict[str, str], bytes] | None:
    head = await reader.readuntil(b"\r\n\r\n") if not reader.at_eof() else b""
    if not head:
        return None
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, path, _ = first.split(" ")
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    return method, path, headers, await reader.readexactly(int(headers.get("content-length", 0)))


async def reply(writer: Writer, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
    is_html = isinstance(content, str)
    body = content.encode() if is_html else json.dumps(content).encode()
    kind = "text/html" if is_html else "application/json"
    head = {"content-type": kind, "content-length": str(len(body)), **(headers or {})}
    lines = [f"HTTP/1.1 {status} Status", *(f"{name}: {value}" for name, value in head.items())]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
    await writer.drain()


async def main() -> None:
    server = await asyncio.start_server(Server().serve, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
