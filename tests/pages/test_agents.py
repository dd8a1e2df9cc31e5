"""The Agents page: editing, importing, exporting, choosing models."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from streamlit.testing.v1.element_tree import NumberInput

from moa_core import MoAConfig
from pages.state.setup_link import pack
from tests.pages.harness import KEY, App, Cloud, setup


@pytest.fixture
def agents(app: App) -> App:
    """The Agents page with the setup the app starts with."""
    return app.open("agents")


def uid(app: App, layer: int, place: int) -> int:
    return app.session.draft.layers[layer].agents[place].uid


def cycles(app: App) -> NumberInput:
    return next(field for field in app.at.number_input if field.label == "Cycles")


def test_every_agent_can_be_edited(agents: App) -> None:
    first = uid(agents, 0, 0)
    agents.at.text_input(key=f"agents_{first}_name").set_value("Poet")
    agents.at.selectbox(key=f"agents_{first}_model").set_value("qwen2.5-coder-0.5b")
    agents.at.text_area(key=f"agents_{first}_prompt").set_value("Answer in verse.")
    agents.at.slider(key=f"agents_{first}_temperature").set_value(1.25)
    agents.at.number_input(key=f"agents_{first}_max_tokens").set_value(99)
    agent = agents.run().session.draft.to_config().layers[0].agents[0]
    assert (agent.name, agent.model, agent.prompt) == ("Poet", "qwen2.5-coder-0.5b", "Answer in verse.")
    assert (agent.temperature, agent.max_tokens) == (1.25, 99)


def test_a_strategy_and_its_numbers_are_chosen(agents: App) -> None:
    version = agents.session.draft.version
    agents.at.selectbox(key=f"agents_strategy_{version}").set_value("best-of-n")
    agents.run()
    agents.at.number_input(key=f"agents_option_{version}_n").set_value(3)
    config = agents.run().session.draft.to_config()
    assert (config.strategy, config.options) == ("best-of-n", {"n": 3})
    assert "a judge scores them" in agents.text


def test_thinking_is_set_for_an_agent(agents: App) -> None:
    agents.at.selectbox(key=f"agents_{uid(agents, 0, 0)}_reasoning_effort").set_value("low")
    assert agents.run().session.draft.to_config().layers[0].agents[0].reasoning_effort == "low"


def test_an_edit_outlives_a_page_change(agents: App) -> None:
    key = f"agents_{agents.session.draft.summarizer.uid}_prompt"
    agents.at.text_area(key=key).set_value("Only one sentence.")
    agents.run().open("chat").open("agents")
    assert agents.at.text_area(key=key).value == "Only one sentence."


def test_agents_and_layers_are_added(agents: App) -> None:
    """What the menus do (AppTest cannot open them) is in test_draft.py and in the browser test."""
    agents.click(f"agents_layer_{agents.session.draft.layers[0].uid}_add").click("agents_add_layer")
    assert [len(layer.agents) for layer in agents.session.draft.layers] == [4, 3, 1]
    assert "Agent layer 3" in agents.text


def test_cycles_repeat_the_layers(agents: App) -> None:
    cycles(agents).set_value(2)
    assert len(agents.run().session.draft.to_config().run_layers) == 4


def test_an_empty_layer_and_no_layers_say_what_to_do(agents: App) -> None:
    agents.session.draft.layers[0].agents.clear()
    assert "This layer has no agents. Add an agent or remove the layer." in agents.run().text
    agents.session.draft.layers.clear()
    assert "the summarizer answers alone" in agents.run().text


def test_the_setup_is_exported_when_it_is_asked_for(agents: App) -> None:
    """A file made in advance is gone from the server as soon as the page runs again."""
    (export,) = agents.at.get("download_button")
    assert export.label == "Export"
    assert export.proto.deferred_file_id
    assert not export.proto.url


def test_a_pasted_configuration_replaces_the_setup(agents: App) -> None:
    agents.at.text_area(key="agents_pasted").set_value(
        json.dumps({"main_model": "smollm2-135m", "cycles": 3, "layer_agent_config": {"Solo": {}}})
    )
    agents.click("agents_import")
    config = agents.session.draft.to_config()
    assert (config.cycles, config.layers[0].names) == (3, ("Solo",))
    assert cycles(agents).value == 3


def test_an_uploaded_configuration_with_a_surprise_is_noted(agents: App) -> None:
    own = MoAConfig.default().to_dict() | {"colour": "blue"}
    agents.at.file_uploader[0].upload("setup.json", json.dumps(own).encode())
    agents.run().click("agents_import")
    assert "'colour' means nothing here and is kept" in agents.text.replace("\\", "")


@pytest.mark.parametrize(
    ("pasted", "said"),
    [
        ("{", "Not valid JSON"),
        ("[1, 2]", "expected a JSON object"),
        ('{"format": "moa-config", "version": 1, "summarizer": {"name": "S", "temperature": "hot"}}', "hot"),
    ],
    ids=["no JSON", "wrong shape", "wrong value"],
)
def test_a_refused_configuration_leaves_setup_and_text_as_they_are(
    agents: App, pasted: str, said: str
) -> None:
    before = agents.session.draft.to_config()
    agents.at.text_area(key="agents_pasted").set_value(pasted)
    agents.run()
    assert said in agents.at.error[0].value.replace("\\", "")
    assert agents.at.button(key="agents_import").disabled
    assert agents.session.draft.to_config() == before
    assert agents.at.text_area(key="agents_pasted").value == pasted


def test_pickers_list_the_models_here_with_size_and_memory(agents: App) -> None:
    options = agents.at.selectbox(key=f"agents_{uid(agents, 0, 0)}_model").options
    assert any(option.startswith("smollm2-135m (") and "0.7 GB of memory" in option for option in options)
    assert not any("cloud" in option for option in options)


def test_with_a_key_the_clouds_models_join_the_pickers(cloud: Cloud, app: App) -> None:
    app.open("agents")
    options = app.at.selectbox(key=f"agents_{uid(app, 0, 0)}_model").options
    assert "say:hello (4k context, Cerebras cloud)" in options


def test_a_wrong_key_is_reported_and_the_models_here_stay(
    cloud: Cloud, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CEREBRAS_API_KEY", "wrong")
    app.open("agents")
    assert "The cloud's models are not listed" in app.text
    assert len(app.at.selectbox(key=f"agents_{uid(app, 0, 0)}_model").options) >= 3


def test_the_key_is_nowhere_on_the_pages_nor_in_the_export(cloud: Cloud, app: App) -> None:
    app.use(setup("leak", summarizer="leak")).ask("Go")  # the server repeats the key in its refusal
    assert app.session.turns[0].state == "failed"
    assert "every agent failed" in app.everything  # so what the server said would be found there
    for page in ("chat", "agents", "challenge", "wafer"):
        assert KEY not in app.open(page).everything
    assert KEY not in app.session.draft.to_config().to_json()
    assert KEY not in str(app.session.turns)


def test_models_nobody_has_are_replaced_only_when_asked(agents: App) -> None:
    agents.session.draft.summarizer.model = "smollm-135m"
    agents.run()
    assert "Models that are not available here" in agents.text
    agents.click("agents_replace_models")
    assert agents.session.draft.summarizer.model == "smollm2-135m"
    assert "is replaced by" in agents.text


def test_start_over_brings_the_first_setup_back(agents: App) -> None:
    agents.session.draft.layers.clear()
    agents.run().click("agents_reset")
    assert agents.session.draft.to_config() == MoAConfig.default()


def test_the_tokens_of_every_call_are_counted_before_a_run(cloud: Cloud, app: App) -> None:
    app.use(setup("say:hello", "think", summarizer="echo")).open("agents").click("agents_count")
    table = app.at.dataframe[0].value
    assert list(table["agent"]) == ["Agent 1", "Agent 2", "Summarizer"]
    assert list(table["fits"]) == [True, True, True]  # the server says that its models hold 4096 tokens
    assert "Partly estimated" in app.text


def test_a_setup_that_cannot_fit_is_refused_with_the_remedies(cloud: Cloud, app: App) -> None:
    app.use(setup("say:hello", "think", summarizer="echo"))
    app.session.draft.summarizer.max_tokens = 4000
    app.open("agents").click("agents_count")
    assert "This does not fit into the model's context" in app.text
    assert "smaller max_tokens" in app.at.error[0].value.replace("\\", "")


def test_a_paste_shows_what_it_would_change_before_it_does(agents: App) -> None:
    other = MoAConfig.default().to_dict() | {"cycles": 2}
    agents.at.text_area(key="agents_pasted").set_value(json.dumps(other))
    diffs = [block.value for block in agents.run().at.code if block.language == "diff"]
    assert diffs == ["-cycles: 1\n+cycles: 2"] or "+cycles: 2" in diffs[0]
    assert agents.session.draft.cycles == 1


def test_an_imports_missing_models_are_mapped_in_one_step(agents: App) -> None:
    old = {"main_model": "smollm-135m", "cycles": 1, "layer_agent_config": {}}
    agents.at.text_area(key="agents_pasted").set_value(json.dumps(old))
    agents.run().click("agents_import")
    assert agents.session.draft.summarizer.model == "smollm2-135m"


def test_undo_takes_back_edits_one_by_one(agents: App) -> None:
    first = uid(agents, 0, 0)
    agents.at.text_input(key=f"agents_{first}_name").set_value("Poet")
    agents.run().click("agents_add_layer").click("agents_undo_button")
    assert (len(agents.session.draft.layers), agents.session.draft.layers[0].agents[0].name) == (2, "Poet")
    agents.click("agents_undo_button")
    assert agents.session.draft.to_config() == MoAConfig.default()
    assert agents.at.button(key="agents_undo_button").disabled


def test_a_nameless_agent_is_pointed_at(agents: App) -> None:
    agents.session.draft.layers[1].agents[2].name = " "
    assert "Agent 3 of agent layer 2: the name is ''" in agents.run().text.replace("\\", "")


def test_every_field_says_whose_it_is(agents: App) -> None:
    names = [field.label for field in agents.at.text_input if field.label.startswith("Name")]
    assert names[0] == "Name · 1.1"
    assert names[-1] == "Name · summarizer"
    assert len(set(names)) == len(names)


def test_a_setup_in_the_address_is_taken_over_only_when_wanted(app: App) -> None:
    coming = replace(MoAConfig.default(), name="From a neighbour", cycles=2)
    app.at.query_params["setup"] = pack(coming)
    app.open("agents")
    assert "A setup came with this link:** From a neighbour" in app.text
    assert app.session.draft.cycles == 1
    app.click("agents_link_use")
    assert app.session.draft.to_config() == coming
    assert "A setup came" not in app.text


def test_a_link_that_was_cut_is_refused(app: App) -> None:
    app.at.query_params["setup"] = pack(MoAConfig.default())[:-9]
    assert "cannot be read" in app.open("agents").everything


def test_the_budget_follows_every_edit(cloud: Cloud, app: App) -> None:
    app.use(setup("say:hello", "think", summarizer="echo")).open("agents")
    assert "3 calls, at most" in app.text
    before = {metric.label: metric.value for metric in app.at.metric}
    agent = app.session.draft.layers[0].agents[0]
    app.at.number_input(key=f"agents_{agent.uid}_max_tokens").set_value(agent.max_tokens + 500)
    after = {metric.label: metric.value for metric in app.run().at.metric}
    number = {name: int(text.replace(",", "")) for name, text in after.items() if name.startswith("Tokens")}
    assert number["Tokens written"] == int(before["Tokens written"].replace(",", "")) + 500
    assert number["Tokens read"] == int(before["Tokens read"].replace(",", "")) + 500  # by the summarizer
    assert "Fullest call: the summarizer" in app.everything


def test_the_budget_names_the_call_that_does_not_fit(cloud: Cloud, app: App) -> None:
    app.use(setup("say:hello", summarizer="echo"))
    app.session.draft.summarizer.max_tokens = 4096  # all that the server says its models hold
    app.open("agents")
    assert "Too large: the summarizer" in app.text
    assert "smaller max_tokens" in app.at.error[0].value.replace("\\", "")


def test_agents_and_layers_are_moved_by_buttons_and_moved_back_by_undo(agents: App) -> None:
    draft = agents.session.draft
    first, second = (agent.uid for agent in draft.layers[0].agents[:2])
    assert agents.at.button(key=f"agents_{first}_back").disabled
    agents.click(f"agents_{first}_on")
    assert [agent.uid for agent in draft.layers[0].agents[:2]] == [second, first]
    one, two = (layer.uid for layer in draft.layers)
    assert agents.at.button(key=f"agents_layer_{two}_down").disabled
    agents.click(f"agents_layer_{two}_up")
    assert [layer.uid for layer in draft.layers] == [two, one]
    agents.click("agents_undo_button").click("agents_undo_button")
    assert draft.to_config() == MoAConfig.default()
