"""A strategy, or a provider, is one file: the pages offer it and run it with nothing else touched."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import streamlit as st

from moa_core import providers, strategies
from moa_core.strategies import all_strategies
from tests.pages.harness import App, Cloud, setup

STRATEGY = """
from moa_core.strategies.base import Strategy

async def answer(run):
    run.note("the coin said heads")
    return await run.summarize([])

STRATEGY = Strategy(name="coin-toss", description="Asks the summarizer alone.", answer=answer)
"""
PROVIDER = """
from moa_core.providers.base import Delta, Finish, TokenUsage

class Parrot:
    name = "parrot"

    async def models(self):
        return ["polly"]

    async def stream(self, request):
        yield Delta(text="squawk")
        yield Delta(finish=Finish(usage=TokenUsage(prompt_tokens=1, completion_tokens=1)))

def configured(setting):
    return Parrot() if setting("PARROT") else None
"""


@pytest.fixture
def add_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[object, str], None]]:
    """Puts a file into a package, by a folder that counts as part of it."""

    def add(package: object, text: str) -> None:
        (tmp_path / "one_more.py").write_text(text)
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])  # type: ignore[attr-defined]
        all_strategies.cache_clear()
        st.cache_resource.clear()

    yield add
    for package in (providers, strategies):
        sys.modules.pop(f"{package.__name__}.one_more", None)
    all_strategies.cache_clear()
    st.cache_resource.clear()


def test_a_strategy_in_a_file_can_be_chosen_and_runs(
    add_file: Callable[[object, str], None], cloud: Cloud, app: App
) -> None:
    add_file(strategies, STRATEGY)
    app.use(setup("say:a")).open("agents")
    chooser = app.at.selectbox(key=f"agents_strategy_{app.session.draft.version}")
    assert "Coin toss" in chooser.options
    chooser.select("coin-toss")
    app.run().ask("Which side?")
    (turn,) = app.session.turns
    assert (turn.answer, turn.notes[-1]) == ("the answer", "the coin said heads")
    assert len(cloud.requests) == 1


def test_a_provider_in_a_file_is_offered_and_routed(
    add_file: Callable[[object, str], None], app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_file(providers, PROVIDER)
    monkeypatch.setenv("PARROT", "yes")
    app.open("agents")
    first = app.session.draft.layers[0].agents[0].uid
    assert any("polly" in label for label in app.at.selectbox(key=f"agents_{first}_model").options)
    app.use(setup("polly", summarizer="polly")).ask("Hello?")
    (turn,) = app.session.turns
    assert (turn.state, turn.answer) == ("done", "squawk")
    assert {record.provider for record in turn.records} == {"parrot"}
