"""The Start page: what this is, the setup as a drawing, where one is, the ways on, and the guided run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pages.state.draft import Draft
from pages.state.setup_graph import setup_graph
from tests.pages.harness import KEY, App, Cloud, setup


def test_the_first_page_says_what_this_is_and_draws_the_setup(app: App) -> None:
    assert app.at.title[0].value == "MoA workshop"
    assert "Mixture of Agents" in app.text
    figure = json.loads(app.at.get("plotly_chart")[0].proto.spec)
    assert {trace.get("name") for trace in figure["data"]} >= {"Direct", "Example", "Careful", "Summarizer"}


def test_models_are_listed_with_what_is_here_and_what_must_be_fetched(
    app: App, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WSE_MODEL_DIR", str(tmp_path))
    (tmp_path / "own.gguf").write_bytes(b"GGUF")
    app.run()
    assert "98 MB to fetch at its first use" in app.text
    assert "1 file of your own" in app.text
    assert "No cloud key" in app.text


def test_an_accepted_and_a_refused_key_are_told_apart(
    cloud: Cloud, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Cerebras cloud, with the app's key: 3 models" in app.text
    monkeypatch.setenv("CEREBRAS_API_KEY", "wrong")
    assert "is there, but: cerebras refuses the key (401)" in app.run().text


@pytest.mark.parametrize("page", ["start", "chat", "agents", "challenge", "lab"])
def test_a_server_that_is_set_up_wrongly_is_said_and_its_key_is_not(
    app: App, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    monkeypatch.setenv("CEREBRAS_API_KEY", KEY)
    monkeypatch.setenv("CEREBRAS_BASE_URL", KEY)
    app.use(setup("smollm2-135m")).open(page)
    if page == "chat":
        app.ask("Go")
    if page in ("start", "chat", "agents"):
        assert "base_url: is no web address" in app.text.replace("\\", "")
    assert KEY not in app.everything


def test_a_typed_key_that_can_be_none_is_said_and_not_used(app: App) -> None:
    app.at.text_input(key="own_key_typed").set_value("csk a key")
    assert "The key has characters that no key has" in app.run().text
    assert "No cloud key" in app.text
    app.at.text_input(key="own_key_typed").set_value("")
    assert "no key has" not in app.run().text


def test_a_key_of_ones_own_is_used_and_never_kept(
    cloud: Cloud, app: App, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("CEREBRAS_API_KEY")
    app.run()
    assert "No cloud key" in app.text
    app.at.text_input(key="own_key_typed").set_value(KEY)
    assert "Cerebras cloud, with your own key" in app.run().text
    app.use(setup("echo")).ask("Go")
    assert app.session.turns[0].state == "done"
    kept = "".join(path.read_text() for path in (tmp_path / "sessions").iterdir())
    assert "Go" in kept
    assert KEY not in kept
    app.open("start").click("own_key_forget")
    assert "No cloud key" in app.text


def test_the_guided_run_leads_through_the_pages_and_can_be_left(app: App) -> None:
    app.click("start_tour")
    assert "Guided first run, 1 of 5: Ask" in app.open("chat").text
    app.click("tour_next").click("tour_next").click("tour_next")
    assert "4 of 5: Change a prompt" in app.text
    assert "another page" in app.everything
    assert "Answer in verse" in app.open("agents").text
    assert "Guided" not in app.click("tour_leave").text


def test_forgetting_everything_empties_the_session_and_the_disk(
    cloud: Cloud, app: App, tmp_path: Path
) -> None:
    app.use(setup("echo")).ask("Remember me").open("start")
    assert "1 question" in app.text
    assert len(list((tmp_path / "sessions").iterdir())) == 1
    app.click("start_forget")
    assert "0 questions" in app.text
    assert list((tmp_path / "sessions").iterdir()) == []


def test_every_agent_reads_every_agent_of_the_layer_before() -> None:
    graph = setup_graph(Draft(setup("a", "b", n_layers=2)))
    assert graph.columns == ("", "Agent layer 1", "Agent layer 2", "Summarizer", "")
    read = [(graph.nodes[a].label, graph.nodes[b].label) for a, b in graph.arrows]
    assert len(read) == 2 + 4 + 2 + 1
    assert ("Agent 1", "Agent 2") in read
    assert read[-1] == ("Summarizer", "Answer")
