"""The Wafer page's figures as data: their size, their numbers and the words around them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from moa_core.runs.trace import CallRecord
from pages.parts.wafer import chart as wafer_chart
from pages.parts.wafer import charts as charts_package
from pages.parts.wafer import floorplan as wafer_floorplan
from pages.parts.wafer import layers as wafer_layers
from pages.parts.wafer import machines as wafer_machines
from pages.parts.wafer.chart import FIGURE_LIMIT_BYTES, KIND_COLORS, MARKS, Chart
from pages.parts.wafer.charts import of_tab, plugins, watch
from pages.parts.wafer.charts.grid import grid_chart
from pages.parts.wafer.view import View
from pages.state.wafer_experts import expert_loads
from pages.state.wafer_machines import EXAMPLE_CALLS, calls_of, replay_bars
from pages.state.wafer_setting import Setting, preset_for
from wse_backend.wafer.economics import Pipeline, Prices, break_even, pipeline
from wse_backend.wafer.placement_timing import layer_intervals, operation_intervals, placed_timing
from wse_backend.wafer.routing import RouterTrace
from wse_backend.wafer.shapes import PRESETS
from wse_backend.wafer.spec import WSE2, WSE3

PRICES = Prices(2.5e6, 23.0, 3.0, 0.20, 0.60)
SETTINGS = {
    "a small model": Setting(PRESETS["smollm2-135m"], WSE3),
    "the largest model": Setting(PRESETS["llama3.1-405b"], WSE3, context=32768),
    "a mixture of experts on WSE-2": Setting(PRESETS["gpt-oss-120b"], WSE2),
    "one grid for all, many defects": Setting(
        PRESETS["llama3-8b"], WSE2, mapping="shared", side=660, density_per_cm2=2.0
    ),
    "stages on WSE-3, many defects": Setting(
        PRESETS["llama3-8b"], WSE3, mapping="stage", side=420, density_per_cm2=20.0
    ),
}


def view_of(setting: Setting) -> View:
    return View(setting, setting.placement())


@cache
def all_charts(setting: Setting) -> tuple[Chart, ...]:
    """Every chart of the page that needs no run; drawn once for all tests."""
    return tuple(_drawn(setting))


def _drawn(setting: Setting) -> Iterator[Chart]:
    view = view_of(setting)
    placement = view.placement
    defects = setting.defects(1)[0]
    for name in wafer_floorplan.VIEWS:
        yield wafer_floorplan.floorplan_chart(placement, 0, defects, name)
    yield wafer_floorplan.sram_chart(placement, placement.layer_regions[-1].wafer)
    yield wafer_floorplan.yield_chart(setting)
    for phase in wafer_layers.PHASE_NAMES:
        timing = placed_timing(placement, phase, setting.context, workload=view.workload)
        layers = layer_intervals(placement, phase, setting.context, workload=view.workload)
        slowest = wafer_layers.slowest_layer(timing)
        within = operation_intervals(placement, phase, setting.context, slowest, workload=view.workload)
        sure = view.intervals.token_s if phase == "decode" else view.intervals.prefill_s
        yield wafer_layers.cause_chart(timing, placement, sure, layers)
        yield wafer_layers.operations_chart(timing, within, layers[slowest])
        yield wafer_layers.modelled_chart(timing, placement, sure, layers)
    for plugin in plugins():
        if plugin.is_shown(view):
            yield from plugin.draw(view)
    graph = [(setting.model, EXAMPLE_CALLS)]
    yield wafer_machines.machines_chart(replay_bars(graph, setting.spec), "An example.")


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_every_chart_is_small_captioned_marked_and_has_units(setting: Setting) -> None:
    charts = list(all_charts(setting))
    assert len(charts) == (38 if setting.model.n_experts else 33)
    for chart in charts:
        assert len(chart.figure.to_json().encode()) <= FIGURE_LIMIT_BYTES, chart.title
        assert chart.caption.endswith((".", ".)")), chart.title
        assert any(c.isdigit() for c in chart.caption), chart.title
        assert len(chart.alt) > 20, chart.title
        assert chart.marks, chart.title
        assert set(chart.marks) <= set(MARKS), chart.title
        assert chart.figure.layout.xaxis.title.text, chart.title
        assert "nan" not in chart.caption, chart.title


BARE_NUMBER = re.compile(r"(?<!measured )(?<![\d.,])\d[\d,.]* (?:tokens/s|µs|ms|s|J|times)(?![\w²]| \()")


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_every_modelled_number_of_a_caption_says_how_sure_it_is(setting: Setting) -> None:
    """Speeds, durations, energies and ratios; a trace's mean and a slowed-down clock are no fit's."""
    for chart in all_charts(setting):
        said = re.sub(r"times the mean|times (slower|faster)|\(23 kW.*", "", chart.caption)
        assert BARE_NUMBER.findall(said) == [], (chart.title, chart.caption)


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_every_modelled_series_has_a_band_or_whiskers(setting: Setting) -> None:
    """Times, speeds, costs and energies; the map, the yield and traces are no timing."""
    untimed = ("Wafer 1", "SRAM", "Yield", "Watch it run", "experts of transformer layer", "How unevenly")
    for chart in all_charts(setting):
        if "modelled" not in chart.marks or any(word in chart.title for word in untimed):
            continue
        if chart.title in ("How far the model is off, row by row", "Where the cache lies"):
            continue  # errors against measurements, and capacities: no refit changes a number of bytes
        named = {trace.name for trace in chart.figure.data}
        bars = [trace for trace in chart.figure.data if trace.error_x.array or trace.error_y.array]
        assert "Refits on fewer rows" in named or bars, chart.title


def test_whiskers_of_layers_and_operations_are_those_of_the_refits() -> None:
    """The layer's interval holds its own seconds, and its operations' add up to about it."""
    setting = SETTINGS["a mixture of experts on WSE-2"]
    placement, workload = setting.placement(), setting.workload()
    for phase in wafer_layers.PHASE_NAMES:
        timing = placed_timing(placement, phase, setting.context, workload=workload)
        layers = layer_intervals(placement, phase, setting.context, workload=workload)
        for layer, sure in zip(timing.layers, layers, strict=True):
            assert sure.value == pytest.approx(layer.seconds)
            assert sure.low < layer.seconds < sure.high
        within = operation_intervals(placement, phase, setting.context, 0, workload=workload)
        assert sum(one.value for one in within.values()) == pytest.approx(layers[0].value)


def test_loads_of_a_scaled_trace_lose_no_token() -> None:
    model = PRESETS["qwen3-235b-a22b"]
    for prompt in (1, 7, 1000, 4096):
        loads, _ = expert_loads(Setting(model, WSE3, prompt_tokens=prompt, skew=1.0))
        assert loads.sum() == prompt * model.n_experts_active
        assert loads.min() >= 0


def test_a_trace_stays_with_the_model_it_was_recorded_with() -> None:
    trace = RouterTrace.drawn(PRESETS["gpt-oss-120b"], 8)
    setting = Setting(PRESETS["gpt-oss-120b"], WSE3, trace=trace)
    assert setting.with_model(PRESETS["gpt-oss-120b"], 99).trace is trace
    assert setting.with_model(PRESETS["qwen3-235b-a22b"]).workload().prefill_routing is not None


def test_the_map_marks_as_many_defects_as_were_drawn() -> None:
    setting = SETTINGS["a small model"]
    defects = setting.defects(1)[0]
    chart = wafer_floorplan.floorplan_chart(setting.placement(), 0, defects, "layer")
    cells, _, spares, marks = chart.figure.data
    assert sum(marks.customdata) == defects.per_row.sum()
    assert np.sum(spares.z) == defects.per_row.sum()
    # 30 layers in the model's published configuration, numbered from 0
    assert sorted({int(layer) for layer in np.unique(cells.z[~np.isnan(cells.z)])}) == list(range(30))


def test_latency_by_layer_adds_up_to_the_pipeline_of_the_placement() -> None:
    """Two ways to the same seconds: layer by layer here, region by region in economics."""
    setting = SETTINGS["the largest model"]
    placement = setting.placement()
    found = pipeline(placement, prompt_tokens=512)
    decode = placed_timing(placement, "decode", setting.context)
    prefill = placed_timing(placement, "prefill", 512)
    assert decode.seconds == pytest.approx(found.token_s)
    assert prefill.seconds == pytest.approx(found.prefill_s)
    assert len(decode.layers) == 126
    assert [layer.index for layer in decode.layers] == list(range(126))


def test_grid_curves_show_the_measured_rows_where_they_were_measured() -> None:
    chart = grid_chart(Setting(PRESETS["llama3-8b"], WSE2), "decode")
    measured = chart.figure.data[2]
    # WaferLLM (arXiv 2502.04563v3), table 4
    assert list(zip(measured.x, measured.y, strict=True)) == [(420, 2699.9), (540, 2501.5), (660, 2243.3)]
    assert chart.marks == ("modelled", "measured")
    assert grid_chart(Setting(PRESETS["llama3-8b"], WSE3), "decode").marks == ("modelled",)


def test_break_even_is_the_published_example() -> None:
    """Four systems, 10 million dollars, 100 kW, 3 years, 450 tokens/s: about 250 dollars, 420 streams."""
    prices = Prices(2.5e6, 25.0, 3.0, 0.20, 0.60)
    one_stream = Pipeline(stages_s=(1 / 450,), prefill_s=0.1, held=1)
    found = break_even(prices, one_stream, wafers=4)
    assert found.alone.total_usd == pytest.approx(250, rel=0.02)
    assert found.streams == pytest.approx(420, rel=0.02)
    assert not found.is_reached  # one region is full with one stream
    deep = Pipeline(stages_s=(1 / 450 / 1000,) * 1000, prefill_s=0.1, held=1000)
    assert break_even(prices, deep, wafers=4).is_reached
    assert break_even(prices, deep, wafers=4).has_room
    assert not break_even(prices, replace(deep, held=300), wafers=4).has_room


def record(
    layer: int, prompt: int | None, cached: int | None, written: int | None, model: str = "m"
) -> CallRecord:
    return CallRecord(
        layer=layer,
        agent="a",
        index=0,
        role="agent",
        provider="p",
        model=model,
        start_s=0.0,
        end_s=1.0,
        prompt_tokens=prompt,
        cached_tokens=cached,
        completion_tokens=written,
    )


def test_a_runs_calls_keep_their_layers_tokens_and_models() -> None:
    records = [record(1, 100, 150, 20), record(1, None, None, None), record(2, 300, None, 0, "n")]
    found = calls_of(records)
    assert list(found) == ["m", "n"]
    (first,), (second,) = found.values()
    assert (first.layer, first.prompt_tokens, first.cached_tokens, first.completion_tokens) == (
        1,
        100,
        100,
        20,
    )
    assert (second.layer, second.prompt_tokens, second.cached_tokens, second.completion_tokens) == (
        2,
        300,
        0,
        0,
    )


def test_every_gpu_stands_for_the_fewest_that_hold_the_model() -> None:
    """70.6 billion fp16 weights are 141 GB: more than 80 GB, and less than 90 % of 160 GB."""
    bars = replay_bars([(PRESETS["llama3.1-70b"], EXAMPLE_CALLS)], WSE3)
    seconds = {bar.machine: bar.seconds for bar in bars}
    assert [name for name, value in seconds.items() if value is None] == ["One CS-3"]
    # 90 % of 141, 180 and 192 GB
    assert list(seconds)[2:] == ["2 x A100 80 GB", "2 x H100 SXM", "2 x H200 SXM", "B200", "MI300X"]
    chart = wafer_machines.machines_chart(bars, "")
    assert "does not fit; 4 would do" in chart.figure.data[-1].text


@pytest.mark.parametrize(
    ("name", "preset"),
    [
        ("llama3.1-8b", "llama3.1-8b"),
        ("llama-3.3-70b", "llama3.3-70b"),
        ("gpt-oss-120b", "gpt-oss-120b"),
        ("qwen-3-32b", "qwen3-32b"),
        ("llama-4-scout-17b-16e-instruct", "llama-4-scout"),
        ("deepseek-r1-distill-llama-70b", "deepseek-r1-distill-llama-70b"),
        ("llama-4-maverick-17b-128e-instruct", "llama-4-maverick"),
        ("qwen-3-235b-a22b-instruct-2507", "qwen3-235b-a22b"),
        ("qwen-3-235b-a22b-thinking-2507", "qwen3-235b-a22b"),
        ("zai-glm-4.7", "glm-4.7"),
        ("google/gemma-4-31b-it", "gemma-4-31b"),
    ],
)
def test_a_servers_name_finds_its_preset(name: str, preset: str) -> None:
    found = preset_for(name)
    assert found is not None
    assert found.name == preset


@pytest.mark.parametrize("name", ["", "llama", "echo", "gpt-5", "70b"])
def test_an_unknown_name_finds_none(name: str) -> None:
    assert preset_for(name) is None


@pytest.mark.parametrize(
    ("value_s", "words"),
    [(188e-6, "188 µs"), (0.9996e-3, "1.00 ms"), (4.2e-3, "4.20 ms"), (0.0999, "99.9 ms"), (0.1, "0.10 s"),
     (12.0, "12 s"), (59.4, "59.4 s"), (59.6, "1 min 00 s"), (125.0, "2 min 05 s"), (0.0, "0 µs")],
)  # fmt: skip
def test_durations_are_said_in_their_own_unit(value_s: float, words: str) -> None:
    assert wafer_chart.duration(value_s) == words


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (1, 256, "1 2 5 10 20 50 100 200"),
        (1, 1e4, "1 10 100 1,000 10,000"),
        (1e-4, 1e3, "0.0001 0.001 0.01 0.1"),
    ],
)
def test_logarithmic_axes_have_round_ticks(low: float, high: float, said: str) -> None:
    ticks: dict[str, list[str]] = {}
    update: Callable[..., None] = ticks.update
    wafer_chart.log_axis(update, "x", low, high)
    assert " ".join(ticks["ticktext"]).startswith(said)


def test_another_model_on_the_same_hardware_takes_as_few_wafers_as_hold_it() -> None:
    setting = replace(SETTINGS["the largest model"], wafers=30)
    assert setting.with_model(PRESETS["smollm2-135m"], 300).placement().wafers == 1


def test_every_file_of_the_charts_folder_is_a_chart_on_a_tab_of_the_page() -> None:
    folder = Path(charts_package.__file__).parent
    files = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert {plugin.key for plugin in plugins()} == files
    source = (folder.parents[2] / "wafer.py").read_text(encoding="utf-8")
    for plugin in plugins():
        assert f'"{plugin.tab}"' in source, plugin.key
    assert [plugin.key for plugin in of_tab("Scaling")] == ["grid", "context", "wafers", "batch", "drafts"]


def test_a_new_wafer_is_one_value() -> None:
    larger = replace(WSE3, name="WSE-9", columns=1200, rows=1200, simd_width=16, system="CS-9")
    setting = Setting(PRESETS["gpt-oss-120b"], larger)
    charts = list(all_charts(setting))
    assert len(charts) == 38
    told = " ".join(chart.caption for chart in charts)
    assert "no WSE-9 was measured" in told
    assert "CS-9" in told


def test_the_animation_is_paused_and_played_by_its_own_buttons_and_small() -> None:
    (chart,) = watch.draw(view_of(SETTINGS["the largest model"]), wafer=3)
    assert len(chart.figure.to_json().encode()) <= FIGURE_LIMIT_BYTES
    (menu,) = chart.figure.layout.updatemenus
    assert [button.label for button in menu.buttons] == ["Play", "Pause"]
    assert len(chart.figure.frames) == watch.FRAMES
    # the label of the last frame names the last layer of that wafer
    last = chart.figure.frames[-1].data[1].text[-1]
    regions = [r for r in view_of(SETTINGS["the largest model"]).placement.layer_regions if r.wafer == 3]
    assert f"transformer layer {regions[-1].layers[-1]} " in last
    assert "times slower" in chart.caption


def test_modelled_points_have_one_colour_and_no_bar_stands_on_a_logarithmic_axis() -> None:
    for name in ("a mixture of experts on WSE-2", "one grid for all, many defects"):
        for chart in all_charts(SETTINGS[name]):
            for trace in chart.figure.data:
                if trace.name and trace.name.startswith("Modelled") and trace.type == "scatter":
                    colour = trace.line.color if trace.mode == "lines" else trace.marker.color
                    assert colour == KIND_COLORS["modelled"], (chart.title, trace.name)
                if trace.type == "bar":
                    axis = (
                        chart.figure.layout.xaxis if trace.orientation == "h" else chart.figure.layout.yaxis
                    )
                    assert axis.type != "log", chart.title


def test_a_grouped_prefill_is_faster_and_decode_is_the_same() -> None:
    plain = Setting(PRESETS["llama3-8b"], WSE2)
    grouped = replace(plain, program="grouped")
    assert view_of(grouped).intervals.prefill_s.value < view_of(plain).intervals.prefill_s.value
    assert view_of(grouped).intervals.token_s == view_of(plain).intervals.token_s
