"""The Models page: every file with what it is, two models side by side, and a router at work."""

from __future__ import annotations

from pathlib import Path

import pytest
from gguf.constants import GGMLQuantizationType

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
    write_family(models / "mixture.gguf", FAMILIES["olmoe"])
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
    assert "".join(words["Token"]) == "A mixture of experts asks few of many."
    experts = [int(expert) for row in words["Experts, largest share first"] for expert in row.split(", ")]
    assert len(experts) == 2 * len(words)
    assert set(experts) <= set(range(8))


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
