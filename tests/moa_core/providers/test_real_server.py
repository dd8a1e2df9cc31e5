"""The HTTP provider against llama_cpp.server, where llama-cpp-python is installed with its `server` extra."""

import asyncio
import importlib.util
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from moa_core import Agent, MoAConfig, RunFinished, run_sync
from moa_core.providers import OpenAICompatible
from moa_core.providers.deadline import Timeouts

NEEDED = ("llama_cpp", "fastapi", "sse_starlette", "pydantic_settings", "starlette_context")


@pytest.fixture
def llama_address(smollm2_path: Path, unused_port: int) -> Iterator[str]:
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"llama_cpp.server is not installed: {', '.join(missing)} missing")
    # By default a new request cuts off the one that is being answered; agents of a layer ask at once.
    command = [sys.executable, "-m", "llama_cpp.server", "--model", str(smollm2_path), "--n_ctx", "1024"]
    process = subprocess.Popen(
        [*command, "--port", str(unused_port), "--n_threads", "2", "--interrupt_requests", "false"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{unused_port}"
    try:
        _wait_for(f"{address}/v1/models", process)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.mark.slow
def test_agents_run_on_another_real_server(llama_address):
    provider = OpenAICompatible(llama_address, name="llama", timeouts=Timeouts(first_token_s=120.0))
    (model,) = asyncio.run(provider.models())
    agents = [Agent(name, model, "Answer in one sentence.", 0.0, 24) for name in ("a", "b")]

    last = list(
        run_sync(
            MoAConfig([agents], Agent("s", model, "", 0.0, 24)), "What is the capital of France?", provider
        )
    )[-1]

    assert isinstance(last, RunFinished)
    assert [call.error for call in last.trace.calls] == [None, None, None]
    assert "Paris" in last.trace.calls[0].text


def _wait_for(url: str, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
    pytest.fail("llama_cpp.server did not start")
