"""What is kept of experiments, and what is refused."""

from __future__ import annotations

import sqlite3

import pytest

from moa_core.errors import ExperimentError, OtherStudy
from moa_core.experiments import ExperimentStore, spread
from moa_core.experiments.export import to_csv, to_html
from moa_core.experiments.presets import MODELS, SETUPS, presets
from moa_core.strategies import all_strategies


def test_trials_come_back_as_they_were(alone, scripted, scorer, tmp_path):
    trials = spread(alone(), "task", scripted({"sum": "score 5"}), scorer, 2).result().trials
    store = ExperimentStore(tmp_path / "lab.sqlite")
    key = store.begin("spread", "mine", {"a": 1}, planned=2, owner="me")
    for trial in trials:
        store.add(key, trial)
    store.end(key, "done", result={"median": 5})

    again = ExperimentStore(tmp_path / "lab.sqlite")
    record = again.experiment(key)
    assert (record.state, record.request, record.result) == ("done", {"a": 1}, {"median": 5})
    assert again.trials(key) == list(trials)
    assert again.count(key) == 2
    assert [each.id for each in again.experiments("me")] == [key]
    assert again.experiments("somebody else") == []


def test_a_store_of_another_format_is_refused(tmp_path):
    place = tmp_path / "lab.sqlite"
    ExperimentStore(place).close()
    with sqlite3.connect(place) as connection:
        connection.execute("update lab_format set version = 99")
    connection.close()
    with pytest.raises(OtherStudy, match="format 99"):
        ExperimentStore(place)


def test_a_place_that_cannot_be_used_is_said_without_its_password(tmp_path):
    with pytest.raises(ExperimentError) as caught:
        ExperimentStore("nonsense://user:secret@host/name")
    assert "secret" not in str(caught.value)
    with pytest.raises(ExperimentError, match="cannot open"):
        ExperimentStore(tmp_path / "no" / "folder" / "lab.sqlite")


def test_a_reply_that_no_database_takes_is_kept(alone, scripted, tmp_path):
    odd = "a\x00b\ud800c 5"
    trial = spread(alone(), "task", scripted({"sum": odd}), lambda reply: 1.0, 1).result().trials[0]
    store = ExperimentStore(tmp_path / "lab.sqlite")
    store.add(store.begin("spread", "odd", {}), trial)
    assert store.trials(1)[0].score == trial.score


def test_exports_are_harmless(alone, scripted, tmp_path):
    reply = "=cmd() <script>alert(1)</script>"
    trials = spread(alone(), "task", scripted({"sum": reply}), lambda text: 1.0, 1).result().trials
    assert "'=cmd()" in to_csv(trials)
    assert "<script" not in to_html("<b>mine</b>", trials, {})


def test_every_setup_is_shipped_for_every_model_and_can_run():
    found = presets()
    assert {(each.setup, each.model) for each in found} == {(s, m) for s in SETUPS for m in MODELS}
    for each in found:
        assert each.config.models == (each.model,)
        assert each.config.strategy in all_strategies()
        assert each.words == "not measured here" or " over " in each.words
