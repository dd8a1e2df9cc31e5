"""What a run cost, added up by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from moa_core import CallRecord
from pages.parts.charts import layer_bars, tick_step
from pages.parts.run_report import phase_caption
from pages.state.measured import call_rows, measured_models, phase_total, run_totals
from wse_backend import PhaseMeasure, Timing


def record(timing: Timing | None = None, **values: Any) -> CallRecord:
    facts: dict[str, Any] = {
        "layer": 1,
        "agent": "A",
        "index": 0,
        "role": "agent",
        "provider": "wafer",
        "model": "tiny",
        "start_s": 1.0,
        "end_s": 4.0,
        "first_token_s": 2.0,
    }
    return CallRecord(**(facts | values), timing=timing)


def timing(decode_ms: float, passes: int) -> Timing:
    """Two layers; every operation group of layer 1 takes twice as long as those of layer 0."""
    layers_ms = np.array([[decode_ms] * 5, [2 * decode_ms] * 5])
    decode = PhaseMeasure(layers_ms, passes=passes, tokens=passes, seconds=0.1, head_ms=4.0)
    return Timing(0.0, 0.1, 0.2, PhaseMeasure(np.zeros((2, 5))), decode)


def test_a_mean_per_pass_weighs_every_pass_alike() -> None:
    total = phase_total([record(timing(6.0, 2)), record(timing(2.0, 6))], "tiny", "decode")
    assert total is not None
    assert total.layers_ms_per_pass.tolist() == [[1.0] * 5, [2.0] * 5]  # (6 + 2) / (2 + 6), and twice that
    assert (total.calls, total.passes, total.head_ms_per_pass) == (2, 8, 1.0)
    assert total.pass_ms == 16.0  # 5 x 1 + 5 x 2 + 1


@pytest.mark.parametrize(("tokens", "words"), [(8, "a token"), (12, "1.5 tokens on average")])
def test_a_caption_says_how_many_tokens_a_pass_writes(tokens: int, words: str) -> None:
    measured = timing(6.0, 8)
    measured.decode.tokens = tokens
    total = phase_total([record(measured)], "tiny", "decode")
    assert total is not None
    caption = phase_caption(total)
    assert f"One pass writes {words} for every agent that is busy" in caption
    assert ("drafted" in caption) == (tokens > 8)


def test_a_phase_without_passes_has_no_total() -> None:
    assert phase_total([record(timing(1.0, 1))], "tiny", "prefill") is None


def test_only_calls_with_times_per_layer_count_as_measured() -> None:
    assert measured_models([record(), record(timing(1.0, 1), model="other")]) == ["other"]


def test_the_rate_counts_the_tokens_after_the_first() -> None:
    row = call_rows([record(completion_tokens=11, prompt_tokens=5)])[0]
    assert (row["first_token_s"], row["total_s"], row["tokens_per_s"]) == (1.0, 3.0, 5.0)  # 10 tokens in 2 s


def test_a_call_that_never_wrote_has_no_rate() -> None:
    row = call_rows([record(first_token_s=None, error="refused")])[0]
    assert (row["tokens_per_s"], row["first_token_s"], row["problem"]) == (None, None, "refused")


def test_totals_leave_out_what_nobody_reported() -> None:
    records = [record(completion_tokens=3), record(layer=2, role="summarizer", first_token_s=3.5)]
    totals = run_totals(records, 4.5)
    assert (totals.completion_tokens, totals.prompt_tokens, totals.answer_after_s) == (3, None, 3.5)


def test_the_chart_has_a_bar_per_layer_and_a_colour_per_operation() -> None:
    figure = layer_bars(
        np.arange(10.0).reshape(2, 5), ("norm", "qkv", "attention", "output", "ffn"), y_title="ms"
    )
    assert [list(bar.y) for bar in figure.data] == [[0, 5], [1, 6], [2, 7], [3, 8], [4, 9]]
    assert (figure.layout.xaxis.title.text, figure.layout.yaxis.title.text) == ("Transformer layer", "ms")
    assert len(figure.to_json()) < 300_000


@pytest.mark.parametrize(("n_layers", "step"), [(2, 1), (30, 2), (80, 5), (126, 10)])
def test_axis_ticks_stay_readable(n_layers: int, step: int) -> None:
    assert tick_step(n_layers) == step
