"""With a key: models with context and price, a plan with its cost, a run that says what it cost."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator

import pytest

from tests.pages.harness import KEY, ROOT, App, setup


@pytest.fixture
def cerebras(_no_key: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server that behaves as Cerebras' API does, configured by environment as a user would."""
    script = ROOT / "tests" / "moa_core" / "cerebras_server.py"
    process = subprocess.Popen(
        [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    address = f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
    monkeypatch.setenv("CEREBRAS_API_KEY", KEY)
    monkeypatch.setenv("CEREBRAS_BASE_URL", address)
    yield address
    process.stdin.close()
    process.wait(timeout=10)
    process.stdout.close()


def test_a_first_run_with_a_key_answers_and_says_what_it_cost(cerebras: str, app: App) -> None:
    app.open("agents")
    first = app.session.draft.layers[0].agents[0].uid
    options = app.at.selectbox(key=f"agents_{first}_model").options
    assert "gpt-oss-120b (reasons, 131k context, $0.35 in / $0.75 out per M, Cerebras cloud)" in options
    app.use(setup("gpt-oss-120b", "gemma-4-31b", summarizer="gpt-oss-120b")).open("agents")
    app.click("agents_count")
    assert "This run costs at most" in app.text
    assert "$0.40 in and $0.80 out per million tokens" in app.text.replace("\\", "")
    app.open("chat").ask("Why is the sky blue?")
    (turn,) = app.session.turns
    assert (turn.state, turn.answer) == ("done", "the answer of gpt-oss-120b")
    assert turn.trace is not None
    assert turn.trace.cost_usd is not None
    assert turn.trace.cost_usd > 0.0005
    assert f"${turn.trace.cost_usd:.2g}" in app.everything.replace("\\", "")
    (calls,) = [frame.value for frame in app.at.dataframe if "tokens_per_s" in frame.value]
    assert list(calls["reasoning_tokens"]) == [600, 0, 600]
    assert set(calls["queue_s"]) == {0.25}
    app.click("chat_layers_0_open_final")
    assert "The server's own times: 0.25 s in its queue, 0.02 s reading, 0.50 s writing." in app.text


def test_a_retired_name_is_mapped_with_one_click_and_says_why(cerebras: str, app: App) -> None:
    app.use(setup("llama-3.3-70b", "qwen-3-32b", summarizer="llama-3.3-70b")).open("agents")
    assert "retired on 2026-02-16" in app.text.replace("\\", "")
    app.click("agents_replace_models")
    config = app.session.draft.to_config()
    assert config.models == ("gpt-oss-120b", "gemma-4-31b")


def test_of_several_servers_the_first_that_lists_a_model_serves_it(
    cerebras: str, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_BASE_URL", cerebras)
    app.use(setup("gemma-4-31b", summarizer="gemma-4-31b")).open("agents")
    options = app.at.selectbox(key=f"agents_{app.session.draft.summarizer.uid}_model").options
    assert sum(option.startswith("gemma-4-31b") for option in options) == 1
    app.open("chat").ask("Hi")
    (turn,) = app.session.turns
    assert turn.answer == "the answer of gemma-4-31b"
    assert {record.provider for record in turn.records} == {"cerebras"}  # the first that lists it


def test_the_servers_are_asked_again_only_on_demand(cerebras: str, app: App) -> None:
    app.open("agents")
    before = connections(cerebras)
    app.run()
    assert connections(cerebras) == before + 1  # the question itself
    app.click("agents_refresh")
    assert connections(cerebras) > before + 2


def connections(address: str) -> int:
    """How many connections the server has taken so far, this one included."""
    with urllib.request.urlopen(f"{address.removesuffix('/v1')}/history", timeout=10) as reply:
        return int(json.load(reply)["connections"])
