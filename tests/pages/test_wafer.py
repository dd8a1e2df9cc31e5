"""The Wafer page: its tabs, its refusals, and the whole way on real weights."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from moa_core import MoAConfig
from tests.pages.harness import App, Cloud, setup
from tests.wse_backend.tiny_gguf import write_tiny_gguf

TABS = (
    "Your run",
    "Floorplan",
    "Latency",
    "Scaling",
    "Experts",
    "Algorithms",
    "Users and cost",
    "Evidence",
)


def charts(app: App) -> list[str]:
    """The names of all figures' series on the page, one string per figure."""
    figures = [json.loads(chart.proto.spec) for chart in app.at.get("plotly_chart")]
    return [", ".join(trace["name"] for trace in figure["data"] if trace.get("name")) for figure in figures]


def choose(app: App, **values: object) -> App:
    """Open the page with these controls set, as if somebody had."""
    for key, value in values.items():
        app.at.session_state[f"wafer_{key}"] = value
    return app.run()


def test_without_a_run_the_page_says_where_to_start_and_shows_the_modelled_half(app: App) -> None:
    app.open("wafer")
    assert "There is no run yet" in app.text
    assert charts(app) == [
        "Norms, Q, K, V projections, Attention, Output projection, Feed-forward, Refits on fewer rows",
        "Modelled",
    ]


@pytest.mark.parametrize(
    ("tab", "series"),
    [
        ("Floorplan", "Weights, KV cache, Buffers"),
        ("Latency", "Compute, Hops, Routing stages, Fixed overhead, Refits on fewer rows"),
        ("Scaling", "Refits on fewer rows, Modelled"),
        ("Algorithms", ", ".join([*["Refits on fewer rows"] * 3, "SUMMA, Cannon, MeshGEMM"])),
        ("Users and cost", "Refits on fewer rows, Refits on fewer rows, One user, All users"),
        ("Evidence", "Decode, Prefill, GEMV"),
    ],
)
def test_every_tab_draws_its_charts_and_no_other(app: App, tab: str, series: str) -> None:
    app.open("wafer")
    choose(app, tab=tab)
    assert series in charts(app)
    assert "There is no run yet" not in app.text


@pytest.mark.parametrize("curve", ["grid", "context", "wafers", "batch", "drafts"])
def test_every_curve_is_drawn_in_captioned_charts(app: App, curve: str) -> None:
    app.open("wafer")
    choose(app, tab="Scaling", curve=curve)
    n_charts = len(app.at.get("plotly_chart"))
    assert n_charts == (2 if curve in ("grid", "wafers", "batch") else 1)
    assert len([caption for caption in app.at.caption if "tokens" in caption.value]) > n_charts


def test_every_modelled_headline_says_how_sure_it_is_and_what_is_published(app: App) -> None:
    app.open("wafer")
    choose(app, model="llama3.1-70b")
    speed = next(metric for metric in app.at.metric if metric.label == "Tokens/s of one user")
    low, high = (float(part.replace(",", "")) for part in speed.delta.split(" to "))
    assert low < float(speed.value.replace(",", "")) < high
    assert "An extrapolation: no WSE-3 was measured" in app.text
    assert "llama3.1-70b 450 tokens/s (2024-08)" in app.text.replace("\\", "")
    assert "2,148 tokens/s (2024-10, with speculative decoding)" in app.text


def test_experts_tab_asks_for_a_mixture_and_then_draws_both_placements(app: App) -> None:
    app.open("wafer")
    choose(app, tab="Experts", model="llama3-8b")
    assert "has no experts" in app.text
    assert charts(app) == []
    choose(app, model="gpt-oss-120b")
    assert len(charts(app)) == 5
    assert "128 experts of transformer layer 0, a block each" in app.text


@pytest.mark.parametrize(
    ("trace", "said"),
    [
        ([[[0, 1, 2, 3]]], "Layers of the router trace is 1; allowed: 36 of gpt-oss-120b"),
        ([[[0, 1, 2, 128]] * 36], "Expert in the router trace is 128; allowed: 0 to 127"),
    ],
    ids=["too few layers", "no such expert"],
)
def test_a_router_trace_of_another_model_is_refused_with_its_numbers(
    app: App, trace: object, said: str
) -> None:
    app.open("wafer")
    choose(app, tab="Experts", model="gpt-oss-120b")
    app.at.file_uploader(key="wafer_trace").upload("trace.json", json.dumps(trace).encode())
    app.run()
    assert said in app.at.error[0].value.replace("\\", "")
    assert app.at.error[0].value.endswith("or choose the model that it was recorded with.")


def test_a_router_trace_of_the_model_takes_the_place_of_the_drawn_one(app: App) -> None:
    app.open("wafer")
    choose(app, tab="Experts", model="gpt-oss-120b")
    app.at.file_uploader(key="wafer_trace").upload("t.json", json.dumps([[[0, 1, 2, 3]] * 36] * 4).encode())
    app.run()
    # four experts get all tokens: 128 / 4 times the mean
    assert "32.00 times the mean" in app.text
    assert "measured router trace" in app.text


def test_a_small_model_is_said_to_need_no_wafer_before_one_is_shown_that_does(app: App) -> None:
    app.open("wafer")
    choose(app, model="smollm2-135m")
    said = app.text.index("smollm2-135m is too small to need a wafer")
    assert said < app.text.index("with llama3.3-70b")
    assert app.at.segmented_control(key="wafer_replay_large_chosen").value == "large"


def test_a_model_too_large_for_the_wafers_says_how_many_would_do(app: App) -> None:
    app.open("wafer")
    choose(app, model="llama3.1-70b", count=1)
    assert "bytes" in app.at.error[0].value
    assert "Choose 4 wafers" in app.at.error[0].value  # 141 GB in fp16 over 44 GB of SRAM
    choose(app, count=4)
    assert not app.at.error


@pytest.mark.parametrize(
    ("controls", "said"),
    [
        ({"context": 0}, "Context is 0; allowed: a whole number from 1 to"),
        ({"mapping": "shared", "side": 950}, "A grid of 950 x 950 PEs does not lie on WSE-3"),
        ({"prompt": 0}, "Prompt_tokens is 0"),
    ],
    ids=["context of zero", "grid too large", "prompt of zero"],
)
def test_a_setting_out_of_range_is_refused_with_its_numbers(
    app: App, controls: dict[str, object], said: str
) -> None:
    app.open("wafer")
    choose(app, **controls)
    (refusal,) = [error.value.replace("\\", "") for error in app.at.error]
    problem, _, next_step = refusal.partition("\n\n")
    assert said in problem
    assert next_step.endswith(".")


@pytest.mark.parametrize(
    ("inputs", "n_charts", "said"),
    [
        ({"usd": 0.0, "kw": 0.0}, 4, "One user alone pays 0 USD"),
        ({"kw": 0.0}, 4, "0.0 USD (0.0 to 0.0) of energy"),
        ({"price": 0.0}, 3, "allowed: a number above 0"),
        ({"years": 0.0}, 3, "allowed: a number above 0"),
    ],
    ids=["free machines", "free energy", "no price", "no years"],
)
def test_prices_of_zero_are_shown_or_refused(
    app: App, inputs: dict[str, object], n_charts: int, said: str
) -> None:
    app.open("wafer")
    choose(app, tab="Users and cost", **inputs)
    assert len(charts(app)) == n_charts
    assert said in app.text


def test_a_density_out_of_range_is_refused_once(app: App) -> None:
    app.open("wafer")
    choose(app, tab="Floorplan", density=5000.0)
    assert [error.value.startswith("Defect density per cm2 is 5000") for error in app.at.error] == [True]


def test_a_density_that_leaves_no_wafer_usable_is_refused(app: App) -> None:
    app.open("wafer")
    choose(app, tab="Floorplan", density=500.0)
    assert "is usable at 500 defects/cm2" in app.at.error[0].value
    assert charts(app)[-1] == "With spare PEs, Without, 400 drawn wafers"
    assert len(charts(app)) == 2  # and the model at work, which asks for no defects


def test_a_placement_on_four_wafers_has_a_tab_for_each(app: App) -> None:
    app.open("wafer")
    choose(app, tab="Floorplan", model="llama3.1-70b")
    labels = [tab.label for tab in app.at.tabs]
    assert sorted(labels) == sorted([*TABS, "Wafer 1", "Wafer 2", "Wafer 3", "Wafer 4"])
    assert len(charts(app)) == 4  # at work; the map and the SRAM of the open tab only; the yield


def test_a_file_in_the_model_folder_can_be_laid_out(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tiny_gguf(tmp_path / "my-own.gguf")
    monkeypatch.setenv("WSE_MODEL_DIR", str(tmp_path))
    app.open("wafer")
    choose(app, model="my-own.gguf", tab="Latency")
    assert "2 regions for 2 transformer layers" in app.text


def test_a_file_that_is_no_model_is_refused(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken.gguf").write_bytes(b"GGUF and then nothing")
    monkeypatch.setenv("WSE_MODEL_DIR", str(tmp_path))
    app.open("wafer")
    choose(app, model="broken.gguf")
    assert "Choose another model" in app.at.error[0].value
    assert not charts(app)
    choose(app, model="llama3-8b")
    assert not app.at.error


def test_the_choice_of_a_model_survives_a_visit_to_another_page(app: App) -> None:
    app.open("wafer")
    app.at.selectbox(key="wafer_model").set_value("qwen3-32b")
    app.run().open("agents").open("wafer")
    assert app.at.selectbox(key="wafer_model").value == "qwen3-32b"


def test_the_page_follows_the_last_run_until_somebody_chooses_a_model(cloud: Cloud, app: App) -> None:
    app.open("wafer")
    assert app.at.selectbox(key="wafer_model").value == "llama3-8b"
    run = app.open("chat").use(setup("echo")).ask("Go").session.last_run
    assert run is not None
    assert run.trace is not None
    run.trace = replace(run.trace, calls=tuple(replace(call, model="qwen-3-32b") for call in run.records))
    app.open("wafer")
    assert app.at.selectbox(key="wafer_model").value == "qwen-3-32b"
    app.at.selectbox(key="wafer_model").set_value("llama3.1-70b")
    app.run()
    assert app.at.selectbox(key="wafer_model").value == "llama3.1-70b"


def test_a_price_below_the_cost_of_a_full_pipeline_never_pays(app: App) -> None:
    app.open("wafer")
    choose(app, tab="Users and cost")
    assert "pay for the machines at 0.6 USD" in app.text
    choose(app, price=0.01)
    assert "never pay at this price" in app.text


def test_a_run_in_the_cloud_is_replayed_but_has_no_times_per_layer(cloud: Cloud, app: App) -> None:
    app.use(setup("echo")).ask("Go").open("wafer")
    assert "reports no times per transformer layer" in app.text
    assert charts(app) == ["Measured, Modelled"]
    assert "The run's own model has no known shape" in app.text


@pytest.mark.slow
def test_a_run_on_real_weights_is_measured_here_and_modelled_there(app: App) -> None:
    config = MoAConfig.default()
    layers = [
        replace(layer, agents=[replace(a, max_tokens=6) for a in layer.agents]) for layer in config.layers
    ]
    short = replace(config, layers=tuple(layers), summarizer=replace(config.summarizer, max_tokens=6))
    app.at.default_timeout = 240  # the kernels may have to be compiled first
    app.use(short).ask("Say hello.")
    assert app.session.turns[0].state == "done"
    assert app.session.turns[0].answer.strip() != ""
    figures = [json.loads(chart.proto.spec) for chart in app.open("wafer").at.get("plotly_chart")]
    assert len(figures) == 3  # the first says that a model this small needs no wafer
    for figure, series in zip(figures[1:], (5, 6), strict=True):  # the modelled one has whiskers as well
        assert [len(trace["x"]) for trace in figure["data"]] == [30] * series  # SmolLM2-135M has 30 layers
    axes = [figure["layout"]["yaxis"]["title"]["text"] for figure in figures[1:]]
    assert axes == ["Milliseconds per transformer layer", "Microseconds per transformer layer"]
    machines = [name for trace in figures[0]["data"] for name in trace["y"] if trace.get("name")]
    # the run's own model needs no wafer: replayed with one that four of them hold
    assert machines[:2] == ["This machine,<br>smollm2-135m", "Four CS-3"]
    assert "B200" in machines
    assert app.at.selectbox(key="wafer_model").value == "smollm2-135m"


def test_a_program_that_nobody_measured_is_labelled(app: App) -> None:
    app.open("wafer")
    assert "measured by nobody" not in app.text
    choose(app, program="grouped")
    assert "a program with grouped K and V (measured by nobody)" in app.text
