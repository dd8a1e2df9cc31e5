"""The Wafer page, and the whole way on real weights."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from moa_core import MoAConfig
from tests.pages.harness import App, Cloud, setup


def test_without_a_run_the_page_says_where_to_start(app: App) -> None:
    assert "There is no run yet" in app.open("wafer").text


def test_a_run_in_the_cloud_has_no_times_per_layer(cloud: Cloud, app: App) -> None:
    app.use(setup("echo")).ask("Go").open("wafer")
    assert "reports no times per layer" in app.text
    assert not app.at.get("plotly_chart")


@pytest.mark.slow
def test_a_run_on_real_weights_is_measured_layer_by_layer(app: App) -> None:
    config = MoAConfig.default()
    layers = [
        replace(layer, agents=[replace(a, max_tokens=6) for a in layer.agents]) for layer in config.layers
    ]
    short = replace(config, layers=tuple(layers), summarizer=replace(config.summarizer, max_tokens=6))
    app.at.default_timeout = 240  # the kernels may have to be compiled first
    app.use(short).ask("Say hello.")
    assert app.session.turns[0].state == "done"
    assert app.session.turns[0].answer.strip() != ""
    assert len(app.at.get("plotly_chart")) == 1
    charts = app.open("wafer").at.get("plotly_chart")
    assert len(charts) == 2
    figure = json.loads(charts[1].proto.spec)
    assert [len(trace["x"]) for trace in figure["data"]] == [30] * 5  # SmolLM2-135M has 30 layers
    assert "Measured on this machine" in app.text
