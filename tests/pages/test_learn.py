"""The Learn page: every idea draws its chart, from numbers that can be checked by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pages.parts import backend
from pages.state import ideas
from tests.pages.harness import App
from wse_backend import Engine
from wse_backend.wafer.shapes import PRESETS

NAMES = ("agents", "layer", "experts", "token", "prefill", "attention", "cache", "first", "wafer")
NEED_A_MODEL = ("token", "attention")


@pytest.mark.parametrize("name", NAMES)
def test_every_idea_opens_by_its_address_and_shows_a_chart(app: App, name: str) -> None:
    app.at.query_params["idea"] = name
    app.open("learn")
    assert app.at.get("pills")[0].value == name
    assert app.at.subheader[0].value
    if name not in NEED_A_MODEL:
        assert app.at.get("plotly_chart")


def test_the_last_layer_reads_what_all_agents_before_it_wrote() -> None:
    rows = ideas.prompt_tokens(n_layers=2, n_agents=3, answer=100, question=10)
    assert rows == [("Agent layer 1", 3, 10), ("Agent layer 2", 3, 310), ("Summarizer", 1, 310)]


def test_a_router_weighs_all_experts_and_uses_the_best() -> None:
    shares, chosen = ideas.router_weights(8, 2, seed=3)
    assert shares.sum() == pytest.approx(1)
    assert chosen.sum() == pytest.approx(1)
    assert np.flatnonzero(chosen).tolist() == sorted(np.argsort(shares)[-2:].tolist())


def test_the_cache_of_llama3_8b_takes_128_kib_a_token() -> None:
    # 2 (keys, values) x 32 layers x 8 heads x 128 x 2 bytes
    assert ideas.cache_bytes(PRESETS["llama3-8b"], 1) == 131_072


def test_a_low_temperature_makes_the_likeliest_token_certain() -> None:
    logits = np.log(np.array([0.5, 0.25, 0.25]))
    warm = ideas.likely_tokens(logits, str, 1.0, 2)
    cold = ideas.likely_tokens(logits, str, 0.1, 2)
    assert warm[0] == ("0", pytest.approx(0.5))
    assert cold[0][1] == pytest.approx(1 / (1 + 2 * 0.5**10))


def test_more_prompt_takes_longer_to_the_first_token() -> None:
    times = [one.value for one in ideas.first_token_curve()]
    assert times == sorted(times)
    assert len(times) == len(ideas.PROMPTS)


def test_the_layers_chart_follows_its_sliders(app: App) -> None:
    app.at.query_params["idea"] = "layer"
    app.open("learn")
    app.at.slider(key="learn_agents").set_value(5)
    figure = json.loads(app.run().at.get("plotly_chart")[0].proto.spec)
    assert figure["data"][0]["x"] == [60, 60 + 5 * 256, 60 + 5 * 256]


def test_attention_is_drawn_from_the_model_in_memory(
    app: App, smollm2_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine.load(smollm2_path)
    monkeypatch.setattr(backend.engine_pool(), "loaded", lambda: [engine])
    app.at.query_params["idea"] = "attention"
    app.open("learn")
    app.at.text_input(key="learn_attention_text").set_value("The cat sat")
    figure = json.loads(app.run().at.get("plotly_chart")[0].proto.spec)
    (square,) = figure["data"]
    ids = engine.tokenize("The cat sat")
    assert (
        figure["layout"]["xaxis"]["ticktext"]
        == ["The", "cat", "sat"]
        == [engine.detokenize([token]).strip() for token in ids]
    )
    rows = np.array(square["z"], float)
    assert np.nansum(rows, axis=1) == pytest.approx(np.ones(3), abs=1e-3)
    assert np.isnan(rows[0, 1:]).all()  # nothing looks forward
    engine.close()


def test_a_look_is_said_in_words() -> None:
    weights = np.array([[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0.6, 0.3, 0.1, 0], [0.7, 0.05, 0.2, 0.05]])
    assert ideas.looks_at(weights, ["The", " cat", " sat", " it"]) == (
        "Here “it” looks most at “sat” (20% of it)."
    )
    assert ideas.looks_at(weights[:2, :2], ["a", "b"]) == ""
