"""A scripted provider, and a real server process that can be asked to fail."""

import asyncio
import json
import socket
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from moa_core import Agent, Event, Layer, MoAConfig, run, run_sync
from moa_core.errors import CallFailed
from moa_core.providers import CallRequest, Delta, Finish, OpenAICompatible, TokenUsage
from moa_core.providers.deadline import Timeouts
from moa_core.providers.limiter import Limiters
from moa_core.providers.retry import RetryPolicy

Answer = str | CallFailed | Exception


class Scripted:
    """Answers each model from its queue (the last answer stays), word by word; remembers what it was asked.

    gate: calls wait for it before their first word. running and most_running count calls at the same
    time, finished those that came to their end.
    """

    def __init__(self, answers: Mapping[str, Answer | Sequence[Answer]], name: str = "scripted") -> None:
        self.name = name
        self.history: list[CallRequest] = []
        self.gate: asyncio.Event | None = None
        self.running = self.most_running = self.finished = 0
        self._answers = {k: list(v) if isinstance(v, list | tuple) else [v] for k, v in answers.items()}

    async def models(self) -> list[str]:
        return list(self._answers)

    async def stream(self, request: CallRequest) -> AsyncIterator[Delta]:
        self.history.append(request)
        queue = self._answers[request.model]
        answer = queue.pop(0) if len(queue) > 1 else queue[0]
        self.running += 1
        self.most_running = max(self.running, self.most_running)
        try:
            await (self.gate.wait() if self.gate else asyncio.sleep(0))
            if isinstance(answer, Exception):
                raise answer
            for i, word in enumerate(answer.split(" ")):
                yield Delta(text=word if i == 0 else f" {word}")
                await asyncio.sleep(0)
            self.finished += 1
            yield Delta(
                finish=Finish(usage=TokenUsage(prompt_tokens=1, completion_tokens=len(answer.split())))
            )
        finally:
            self.running -= 1

    def systems(self, model: str) -> list[str]:
        """The system prompts that `model` was given, in order; empty for none."""
        asked = [request.messages[0] for request in self.history if request.model == model]
        return [first["content"] if first["role"] == "system" else "" for first in asked]


class LocalServer:
    """The server process: where it is, and what it saw."""

    def __init__(self, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}"

    def history(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.address}/history", timeout=10) as response:
            facts: dict[str, Any] = json.load(response)
        return facts

    def requests(self, model: str) -> list[dict[str, Any]]:
        return [entry for entry in self.history()["requests"] if entry["body"]["model"] == model]


@contextmanager
def server_process(name: str = "openai_server.py") -> Iterator[LocalServer]:
    script = Path(__file__).with_name(name)
    process = subprocess.Popen(
        [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield LocalServer(int(process.stdout.readline()))
    finally:
        process.stdin.close()
        process.stdout.close()
        process.kill()
        process.wait()


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with server_process() as started:
        yield started


@pytest.fixture
def cerebras() -> Iterator[LocalServer]:
    """A server that behaves as Cerebras' API does."""
    with server_process("cerebras_server.py") as started:
        yield started


@pytest.fixture
def cloud(server: LocalServer) -> Callable[..., OpenAICompatible]:
    """Makes providers for the server, with short waits and a queue of their own."""

    def make(**settings: Any) -> OpenAICompatible:
        defaults: dict[str, Any] = {
            "api_key": "key-1234567890",
            "timeouts": Timeouts(),
            "retry": RetryPolicy(attempts=3, base_s=0.01),
            "limiters": Limiters(),
            "name": "server",
        }
        return OpenAICompatible(server.address, **(defaults | settings))

    return make


@pytest.fixture
def scripted() -> type[Scripted]:
    return Scripted


@pytest.fixture
def moa() -> Callable[..., MoAConfig]:
    """Makes configurations from model names: one list per layer, and the summarizer's."""

    def make(*layers: Sequence[str], summarizer: str = "sum", **settings: Any) -> MoAConfig:
        named = [
            Layer(tuple(Agent(f"a{i}", model) for i, model in enumerate(models, 1))) for models in layers
        ]
        return MoAConfig(tuple(named), Agent("Summarizer", summarizer), **settings)

    return make


Play = Callable[..., list[Event]]


def _play_sync(*arguments: Any) -> list[Event]:
    return list(run_sync(*arguments))


def _play_async(*arguments: Any) -> list[Event]:
    async def collect() -> list[Event]:
        return [event async for event in run(*arguments)]

    return asyncio.run(collect())


@pytest.fixture(params=[_play_async, _play_sync], ids=["run", "run_sync"])
def play(request: pytest.FixtureRequest) -> Play:
    """Plays a run to its end, once through each face: both must behave the same."""
    chosen: Play = request.param
    return chosen


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
