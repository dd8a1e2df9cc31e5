"""The Models page: every file with what it is, two models side by side, and a router at work."""

from __future__ import annotations

from pathlib import Path

import pytest
from gguf.constants import GGMLQuantizationType

from moa_core import Agent, MoAConfig
from moa_core.config.values import Layer
from tests.pages.harness import App
from tests.wse_backend.families import FAMILIES, write_family
from tests.wse_backend.tiny_gguf import write_tiny_gguf, write_with_type

TABS = ("On this disk", "Side by side", "Router", "Add and delete")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model folder of its own, with a model that has experts, a dense one, and one that nothing runs."""
    models = tmp_path / "models"
    models.mkdir()
    monkeypatch.setenv("WSE_MODEL_DIR", str(models))
    write_family(models / "mixture.gguf", FAMILIES["olmoe"], changes={"olmoe.context_length": 4096})
    write_tiny_gguf(models / "dense.gguf")
    write_tiny_gguf(models / "other.gguf", changes={"general.architecture": "mamba"})
    return models


def on_tab(app: App, tab: str) -> App:
    app.at.session_state["models_tab"] = tab
    return app.open("models")


def test_every_file_is_listed_with_what_it_is(folder: Path, app: App) -> None:
    on_tab(app, "On this disk")
    table = app.at.dataframe[0].value.set_index("name")
    assert list(table.index) == ["dense.gguf", "mixture.gguf", "other.gguf"]
    assert table.loc["mixture.gguf", ["architecture", "format", "experts"]].tolist() == [
        "olmoe",
        "Q8_0",
        "2 of 8",
    ]
    assert table["state"].tolist() == ["ready", "ready", "not runnable"]
    assert "gemma-3-270m" in app.text
    assert "Gemma Terms of Use" in app.text


def test_a_file_that_is_not_run_says_why(folder: Path, app: App) -> None:
    on_tab(app, "On this disk")
    app.at.selectbox(key="models_file").set_value("other.gguf")
    app.run()
    assert "its architecture is 'mamba'" in app.text


def test_a_file_whose_weights_have_no_kernels_says_so(folder: Path, app: App) -> None:
    write_with_type(folder / "new.gguf", GGMLQuantizationType.I8)
    on_tab(app, "On this disk")
    assert app.at.dataframe[0].value.set_index("name").loc["new.gguf", "state"] == "not runnable"
    app.at.selectbox(key="models_file").set_value("new.gguf")
    app.run()
    assert r"blk.0.ffn\_up.weight is I8; supported: F32" in app.text


def test_router_shows_where_tokens_go(folder: Path, app: App) -> None:
    on_tab(app, "Router")
    assert "used alike would be 3.00" in app.text  # log2 of 8 experts
    words = app.at.dataframe[0].value
    assert "".join(words["token"]) == "A␣mixture␣of␣experts␣asks␣few␣of␣many."
    experts = [int(said.split()[0]) for row in words["experts"] for said in row.split(", ")]
    assert len(experts) == 2 * len(words)
    assert set(experts) <= set(range(8))


def two_agents(model: str) -> MoAConfig:
    """Two agents and a summarizer, all on one model, that write a few tokens each."""
    agents = [Agent(name, model, "Go on.", max_tokens=12) for name in ("One", "Two", "Summarizer")]
    return MoAConfig(layers=(Layer(tuple(agents[:2])),), summarizer=agents[2], seed=1)


def test_a_run_shows_which_experts_each_agents_tokens_went_to(folder: Path, app: App) -> None:
    app.use(two_agents("mixture.gguf")).ask("hello")
    assert "**Which experts the tokens went to** · mixture.gguf" in app.text
    assert "each given to 2 of 8 experts per layer" in app.text
    whose = next(box for box in app.at.selectbox if box.label == "Whose tokens")
    assert whose.options == ["All agents together", "One, agent layer 1", "Two, agent layer 1", "Summarizer"]
    whose.set_value("Two, agent layer 1")
    app.run()
    words = next(frame.value for frame in app.at.dataframe if "experts" in frame.value)
    record = app.session.turns[0].records[1]
    routing = record.routing
    n_answered = len(routing.texts) - routing.n_prompt
    assert words["part"].tolist().count("answer") == n_answered
    assert n_answered in (
        record.completion_tokens,
        record.completion_tokens - 1,
    )  # the last is not given back
    assert "its experts in every layer" in app.text


def test_the_wafer_takes_the_routes_of_the_last_run(folder: Path, app: App) -> None:
    app.use(two_agents("mixture.gguf")).ask("hello")
    app.at.session_state["wafer_tab"] = "Experts"
    app.open("wafer")
    assert app.at.selectbox(key="wafer_model").value == "mixture.gguf"
    assert "as the engine recorded them in your last run" in app.text
    assert "measured router trace" in app.text


def test_only_the_newest_runs_keep_their_routes(folder: Path, app: App) -> None:
    app.use(two_agents("mixture.gguf"))
    for _ in range(5):
        app.ask("hello")
    kept = [any(record.routing is not None for record in turn.records) for turn in app.session.turns]
    assert kept == [False, False, True, True, True]
    assert all(turn.trace is not None and turn.answer for turn in app.session.turns)


def test_a_model_without_experts_is_split_into_groups(folder: Path, app: App) -> None:
    on_tab(app, "Router")
    app.at.selectbox(key="models_groups_number").set_value(16)
    next(button for button in app.at.button if button.label == "Compute").click()
    app.run()
    table = next(frame.value for frame in app.at.dataframe if "Groups kept" in frame.value)
    assert table["Groups kept"].tolist() == [16, 12, 8, 6, 4, 2]
    assert (table["KL (nats)"][0], table["Same token"][0], table["Weights read"][0]) == (0, 1, 1)
    assert table["Weights read"].is_monotonic_decreasing


def test_two_models_answer_one_question(folder: Path, app: App) -> None:
    on_tab(app, "Side by side")
    app.at.selectbox(key="models_second").set_value("mixture.gguf")
    app.at.text_input(key="models_question").set_value("hello")
    next(button for button in app.at.button if button.label == "Ask both").click()
    app.run()
    assert app.text.count("a second, measured here") == 2


def test_visitors_change_nothing_unless_the_settings_allow_it(
    folder: Path, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_tab(app, "Add and delete")
    assert "set MODEL_CHANGES to allow" in app.text
    assert not [box for box in app.at.selectbox if box.key == "models_delete_name"]
    monkeypatch.setenv("MODEL_CHANGES", "allow")
    on_tab(app, "Add and delete")
    app.at.selectbox(key="models_delete_name").set_value("dense.gguf")
    app.run()
    app.click("models_delete")
    assert sorted(path.name for path in folder.glob("*.gguf")) == ["mixture.gguf", "other.gguf"]


def test_files_are_imported_from_the_folder_that_the_owner_names(
    folder: Path, app: App, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MODEL_CHANGES", "allow")
    on_tab(app, "Add and delete")
    assert "MODEL_IMPORT_DIR" in app.text
    assert not [box for box in app.at.selectbox if box.key == "models_import_name"]
    (tmp_path / "disk").mkdir()
    write_tiny_gguf(tmp_path / "disk" / "mine.gguf")
    write_tiny_gguf(tmp_path / "disk" / "dense.gguf")  # a name that the model folder has
    (tmp_path / "disk" / "broken.gguf").write_bytes(b"GGUF" + bytes(40))
    monkeypatch.setenv("MODEL_IMPORT_DIR", str(tmp_path / "disk"))
    on_tab(app, "Add and delete")
    choice = app.at.selectbox(key="models_import_name")
    assert choice.options == ["broken.gguf", "mine.gguf"]
    choice.set_value("broken.gguf")
    app.run().click("models_import")
    assert "version 0" in app.text
    app.at.selectbox(key="models_import_name").set_value("mine.gguf")
    app.run().click("models_import")
    assert "mine.gguf is linked" in "".join(said.value for said in app.at.success)
    assert (folder / "mine.gguf").resolve() == tmp_path / "disk" / "mine.gguf"
    assert not (folder / "broken.gguf").exists()


def test_an_uploaded_file_is_checked_before_it_is_kept(
    folder: Path, app: App, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MODEL_CHANGES", "allow")
    on_tab(app, "Add and delete")
    content = write_tiny_gguf(tmp_path / "mine.gguf").read_bytes()
    for name, sent, said in [
        ("mine.gguf", content, "mine.gguf is kept"),
        ("mine.gguf", content, "not yet in the model folder"),
        ("../x.gguf", content, "Name of a model file is '../x.gguf'"),
        ("broken.gguf", content[:-2000], "Cannot load broken.gguf: tensor"),
    ]:
        uploader = next(box for box in app.at.file_uploader if box.label == "Add a GGUF file")
        uploader.upload(name, sent)
        app.run().click("models_keep")
        shown = app.text + "".join(message.value for message in app.at.success)
        assert said in shown.replace("\\", "")
    assert sorted(path.name for path in folder.iterdir()) == [
        *("dense.gguf", "mine.gguf", "mixture.gguf", "other.gguf")
    ]
