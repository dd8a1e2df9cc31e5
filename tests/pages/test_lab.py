"""The Lab page: experiments start, run on the server, are found again, and say what they found."""

from __future__ import annotations

from pathlib import Path

import pytest

from moa_core import MoAConfig
from moa_core.experiments import ExperimentStore
from pages.state.experiments import Experiments
from tests.pages.harness import App, Cloud, setup

SOLUTION = (
    "```python\ndef calculate_user_metrics(users, start_date, end_date):\n"
    "    return {'average_engagement': 0, 'top_performers': [], 'active_count': 0}\n```\n"
)


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cloud: Cloud, app: App) -> App:
    """The Lab page with agents that always write the same function, and a store of its own."""
    monkeypatch.setenv("LAB_STORE", str(tmp_path / "lab.sqlite"))
    monkeypatch.delenv("COMPETITION_URL", raising=False)
    return app.use(setup("say:a draft", "say:a draft", summarizer=f"say:{SOLUTION}")).open("lab")


def start(lab: App, kind: str = "spread", seeds: int = 2) -> App:
    """Choose, start, and wait for the end."""
    lab.at.segmented_control(key="lab_kind").set_value(kind)
    lab.run()
    lab.at.selectbox(key="lab_seeds").set_value(seeds)
    lab.run().click("lab_go")
    key = lab.at.session_state["lab_shown"]
    assert experiments(lab).wait(key, 60)
    return lab.run()


def experiments(lab: App) -> Experiments:
    from pages.parts.lab import backend

    return backend.experiments()


def test_a_spread_shows_every_try(lab: App) -> None:
    start(lab)
    table = lab.at.dataframe[0].value
    assert list(table["Setup"]) == ["Your agents"]
    assert table["Tries"][0] == 2
    assert table["Median"][0] < 60
    assert "to go" not in lab.text


def test_one_model_alone_is_a_click_away(lab: App) -> None:
    start(lab, "compare")
    assert list(lab.at.dataframe[0].value["Setup"]) == ["One model alone", "Your agents"]
    assert "cannot be told apart on 2 seeds" in lab.text


def test_an_ablation_sees_redundant_agents(lab: App) -> None:
    start(lab, "ablate")
    assert "How alike the answers are" in lab.text
    assert "without Agent 1" in list(lab.at.dataframe[0].value["Setup"])


def test_experiments_are_found_again_in_another_session(lab: App) -> None:
    start(lab)
    key = lab.at.session_state["lab_shown"]
    lab.open("chat").open("lab")
    assert lab.at.session_state["lab_shown"] == key
    assert len(lab.at.dataframe[0].value) == 1


def test_a_search_space_with_one_point_is_said(lab: App) -> None:
    lab.at.segmented_control(key="lab_kind").set_value("search")
    lab.run()
    lab.at.multiselect(key="lab_temperatures").set_value([0.4])
    lab.at.multiselect(key="lab_models").set_value([])
    lab.run().click("lab_go")
    assert "only one setup in this search space" in lab.text


def test_a_failing_model_leaves_a_reason_per_try(lab: App) -> None:
    lab.use(setup("say:x", summarizer="status:404")).session.draft.layers.clear()
    start(lab.open("lab"))
    assert "seed 1" in lab.text
    assert lab.at.dataframe[0].value["Failed"][0] == 2


def test_forgetting_everything_deletes_this_browsers_experiments_alone(lab: App) -> None:
    start(lab)
    (mine,) = experiments(lab).store.experiments()
    strangers = experiments(lab).store.begin("spread", "another's", {}, owner="somebody else")
    lab.open("start").click("start_forget")
    assert [each.id for each in experiments(lab).store.experiments()] == [strangers]
    assert experiments(lab).store.trials(mine.id) == []


def test_a_stored_try_is_replayed_and_compared(lab: App) -> None:
    start(lab)
    first = lab.at.session_state["lab_shown"]
    lab.click(f"lab_replay_{first}")
    again = lab.at.session_state["lab_shown"]
    assert again != first
    assert experiments(lab).wait(again, 60)
    assert "same reply, to the letter" in lab.run().text


def test_a_preset_opens_in_agents(lab: App) -> None:
    lab.click("lab_use_preset")
    assert lab.session.draft.to_config().summarizer.model == "qwen2.5-coder-1.5b"


def test_a_restart_leaves_what_had_ended(tmp_path: Path) -> None:
    place = tmp_path / "lab.sqlite"
    key = ExperimentStore(place).begin("spread", "Spread", {"labels": []}, 8, "me")
    again = Experiments(ExperimentStore(place))
    record = again.store.experiment(key)
    assert again.state(record) == "stopped"
    assert not again.is_alive(key)


def test_what_is_stored_can_be_used_again(lab: App) -> None:
    start(lab)
    (record,) = experiments(lab).store.experiments()
    trial = experiments(lab).store.trials(record.id)[0]
    assert isinstance(trial.config, MoAConfig)
    assert trial.score is not None
    assert trial.score.detail["report"]["challenge"] == "user_metrics"
