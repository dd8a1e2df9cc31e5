"""The Chat page: a question, the layers, the answer, what it took, and what can go wrong."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from moa_core import MoAConfig
from pages.state.turn import finished, to_json
from tests.pages.harness import App, Cloud, setup


def test_an_empty_chat_offers_first_questions(app: App) -> None:
    assert app.open("chat").at.title[0].value == "Chat"
    assert "3 agents in each of 2 agent layers, then the summarizer" in app.text
    assert "Why is the sky blue?" in app.at.get("pills")[0].options


def test_every_agent_and_the_answer_are_shown(cloud: Cloud, app: App) -> None:
    app.use(setup("say:red", "say:green", "echo", summarizer="say:all colours")).ask("Which colour?")
    for shown in ("Agent layer 1 of 1", "red", "green", "Which colour?", "all colours"):
        assert shown in app.text
    calls = app.at.dataframe[0].value
    assert list(calls["agent"]) == ["Agent 1", "Agent 2", "Agent 3", "Summarizer"]
    assert list(calls["completion_tokens"]) == [7, 7, 7, 7]  # what the server reports


def test_the_next_layer_and_the_summarizer_read_the_answers_before(cloud: Cloud, app: App) -> None:
    app.use(setup("say:first words", n_layers=2)).ask("Go")
    sent = [str(request["messages"]) for request in cloud.requests]
    assert ["first words" in messages for messages in sent] == [False, True, True]


def test_a_first_question_is_asked_with_one_click(cloud: Cloud, app: App) -> None:
    app.use(setup("echo")).open("chat")
    app.at.get("pills")[0].set_value("What does a compiler do?")
    app.run()
    assert [turn.question for turn in app.session.turns] == ["What does a compiler do?"]
    assert "the answer" in app.text


def test_a_second_question_knows_the_first_answer(cloud: Cloud, app: App) -> None:
    app.use(setup("echo", summarizer="say:forty-two")).ask("One?").ask("Two?")
    roles = [message["role"] for message in cloud.requests[2]["messages"]]
    assert roles == ["system", "user", "assistant", "user"]
    assert cloud.requests[2]["messages"][2]["content"] == "forty-two"


def test_the_conversation_outlives_a_page_change(cloud: Cloud, app: App) -> None:
    app.use(setup("echo")).ask("Still there?").open("agents").open("chat")
    assert "Still there?" in app.text
    assert "the answer" in app.text


def test_a_conversation_can_be_saved_once_it_has_an_answer(cloud: Cloud, app: App) -> None:
    app.use(setup("echo", summarizer="say:forty-two"))
    assert not app.at.get("download_button")
    app.ask("Which *number*?")
    buttons = app.at.get("download_button")
    assert [button.label for button in buttons] == [
        "Markdown, to read",
        "JSON, with every agent's text and times",
    ]
    # Made when asked for: a file made in advance is gone from the server as soon as the page runs again.
    assert all(button.proto.deferred_file_id and not button.proto.url for button in buttons)
    assert "> Which *number*?" in finished(app.session.turns).to_markdown()
    (saved,) = json.loads(to_json(app.session.turns))["turns"]
    assert (saved["answer"], saved["model"]) == ("forty-two", "say:forty-two")
    assert [call["text"] for call in saved["agents"]] == ["Which *number*?", "forty-two"]
    assert [call["messages"][-1]["content"] for call in saved["trace"]["calls"]] == ["Which *number*?"] * 2


def test_a_new_conversation_forgets_the_turns(cloud: Cloud, app: App) -> None:
    app.use(setup("echo")).ask("Forget me").click("chat_new")
    assert "Forget me" not in app.text
    assert app.session.turns == []


def test_a_failed_agent_is_marked_and_the_others_answer(cloud: Cloud, app: App) -> None:
    app.use(setup("say:fine", "status:404")).ask("Go")
    assert "Left out" in app.text
    assert "the answer" in app.text
    assert list(app.at.dataframe[0].value["problem"])[1] != ""


@pytest.mark.parametrize(
    ("model", "title"),
    [
        ("status:401", "The server refuses the key"),
        ("status:404", "This model is not available here"),
        ("context", "This does not fit into the model's context"),
    ],
)
def test_a_failed_run_says_what_to_do_and_keeps_the_question(
    cloud: Cloud, app: App, model: str, title: str
) -> None:
    app.use(MoAConfig(summarizer=setup("echo", summarizer=model).summarizer)).ask("A long question")
    assert title in app.text
    assert "A long question" in app.text
    assert app.session.turns[0].state == "failed"


def test_a_layer_that_fails_lists_every_reason(cloud: Cloud, app: App) -> None:
    app.use(setup("status:401", "context")).ask("Go")
    assert "A whole layer failed" in app.text
    assert "Agent 1" in app.at.error[0].value
    assert "Agent 2" in app.at.error[0].value


def test_a_server_that_is_not_there_is_reported(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CEREBRAS_API_KEY", "csk-nobody")
    monkeypatch.setenv("CEREBRAS_BASE_URL", "http://127.0.0.1:9/v1")  # the discard port: nothing listens
    app.use(MoAConfig(summarizer=setup("echo").summarizer)).ask("Anybody?")
    assert "Check the network connection" in app.text
    assert "Anybody?" in app.text


def test_an_unknown_model_without_a_cloud_is_refused(app: App) -> None:
    app.use(setup("no-such-model", summarizer="no-such-model")).ask("Go")
    assert "no-such-model" in app.at.error[0].value
    assert "Agents page" in app.at.error[0].value


def test_a_broken_model_file_is_named_with_what_is_wrong(
    app: App, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "torn.gguf").write_bytes(b"GGUF\x03\x00")
    monkeypatch.setenv("WSE_MODEL_DIR", str(tmp_path))
    app.use(MoAConfig(summarizer=setup("echo", summarizer="torn.gguf").summarizer)).ask("Go")
    assert "This model file cannot be used" in app.text
    assert "torn.gguf" in app.at.error[0].value


@pytest.mark.slow
def test_a_question_longer_than_the_context_is_refused_with_both_numbers(app: App) -> None:
    app.at.default_timeout = 240  # the kernels may have to be compiled first
    app.use(MoAConfig(summarizer=MoAConfig.default().summarizer)).ask("word " * 20_000)
    assert "This does not fit into the model's context" in app.text
    assert re.search(r"2\d[ ,.]?\d{3} tokens", app.at.error[0].value)
    assert len(app.session.turns[0].question) == 100_000


def test_an_emptied_layer_is_refused_before_the_run(cloud: Cloud, app: App) -> None:
    app.session.draft.layers[0].agents.clear()
    app.ask("Go")
    assert "The setup is not complete" in app.text
    assert cloud.requests == []


def test_a_failed_question_can_be_edited_and_asked_again(cloud: Cloud, app: App) -> None:
    app.use(MoAConfig(summarizer=setup("echo", summarizer="status:404").summarizer)).ask("Typed with care")
    app.click("chat_edit_0")
    assert app.at.chat_input(key="chat_input").value == "Typed with care"
    app.use(setup("echo")).click("chat_again_0")
    assert [turn.state for turn in app.session.turns] == ["done"]


def test_what_a_model_writes_has_no_power_over_the_page(cloud: Cloud, app: App) -> None:
    app.use(setup("echo", summarizer="say:![x](https://example.org/x.png) costs $1 and $2")).ask("Go")
    answer = next(m.value for m in app.at.markdown if "costs" in m.value)
    assert answer == r"!\[x](https://example.org/x.png) costs \$1 and \$2"
    assert not any(m.allow_html for m in app.at.markdown)


def test_a_lane_per_agent_shows_when_its_calls_waited_and_wrote(cloud: Cloud, app: App) -> None:
    app.use(setup("echo", "say:two", n_layers=2)).ask("Go")
    figure = json.loads(app.at.get("plotly_chart")[0].proto.spec)
    assert figure["layout"]["yaxis"]["categoryarray"] == ["Agent 1", "Agent 2", "Summarizer"]
    written = [bar["name"] for bar in figure["data"][1:]]
    assert written == ["Agent layer 1 writes", "Agent layer 2 writes", "Summarizer writes"]


def test_a_call_opens_to_the_messages_it_was_sent(cloud: Cloud, app: App) -> None:
    app.use(setup("say:my draft")).ask("Show me").click("chat_layers_0_open_final")
    assert any("my draft" in block.value for block in app.at.code)
    assert {metric.label: metric.value for metric in app.at.metric}["Tokens written"] == "7"


def test_one_model_answers_beside_the_agents(cloud: Cloud, app: App) -> None:
    app.use(setup("say:a", "say:b", summarizer="echo")).ask("Both?").click("chat_single_0")
    assert [len(turn.records) for turn in (app.session.turns[0], app.session.turns[0].single)] == [3, 1]
    assert "One model alone" in app.text
    assert len(app.session.turns) == 1


def test_an_answer_cut_at_its_limit_says_so(cloud: Cloud, app: App) -> None:
    app.use(setup("echo", summarizer="cut:half of it")).ask("Long?")
    assert "cut at the summarizer's token limit" in app.text


def test_a_question_of_spaces_is_no_question(app: App) -> None:
    app.ask("   ")
    assert app.session.turns == []
    assert "type some words first" in app.everything


def test_leaving_the_page_leaves_the_run_alone(cloud: Cloud, app: App) -> None:
    app.use(setup("slow:1.5", summarizer="say:still here")).open("chat")
    app.at.default_timeout = 1  # the reader leaves before the run is done
    app.at.chat_input(key="chat_input").set_value("Stay")
    with pytest.raises(RuntimeError, match="timed out"):
        app.at.run()
    turn = app.session.turns[0]
    assert turn.is_running
    app.at.default_timeout = 60
    assert turn.ended.wait(30)
    assert "still here" in app.open("chat").text


def test_stop_ends_the_run_and_keeps_what_was_written(cloud: Cloud, app: App) -> None:
    app.use(setup("say:whole", "hang")).open("chat")
    app.at.default_timeout = 2
    app.at.chat_input(key="chat_input").set_value("Stop me")
    with pytest.raises(RuntimeError, match="timed out"):
        app.at.run()
    turn = app.session.turns[0]
    turn.stop()
    assert turn.ended.wait(20)
    app.at.default_timeout = 60
    assert "Stopped" in app.run().everything
    assert [call.state for call in turn.calls] == ["done", "stopped"]
