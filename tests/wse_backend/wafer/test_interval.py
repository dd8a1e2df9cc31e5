"""Intervals: they hold the measured rows, they move the right way, and extrapolations are named."""

from __future__ import annotations

import numpy as np
import pytest

from wse_backend.wafer.economics import Workload, pipeline, pipeline_intervals
from wse_backend.wafer.placement import place
from wse_backend.wafer.shapes import PRESETS
from wse_backend.wafer.spec import WSE2, WSE3
from wse_backend.wafer.timing import decode_seconds, prefill_seconds
from wse_backend.wafer.timing.fitted import REFITS, RESIDUALS
from wse_backend.wafer.timing.interval import STACKED, Interval, extrapolations, interval

TIMED = [row for row in RESIDUALS if row.phase in ("decode", "prefill")]


@pytest.mark.parametrize("row", TIMED, ids=lambda row: f"{row.phase}-{row.model}-{row.grid}")
def test_interval_holds_the_measured_row(row: object) -> None:
    model, side, tokens = PRESETS[row.model], row.grid, row.tokens  # type: ignore[attr-defined]
    if row.phase == "decode":  # type: ignore[attr-defined]
        found = interval(lambda c: decode_seconds(model, WSE2, side, tokens, constants=c), "decode").rate
    else:
        found = interval(lambda c: prefill_seconds(model, WSE2, side, tokens, constants=c), "prefill")
        found = found.rate.scaled(tokens)
    assert found.low < row.measured < found.high  # type: ignore[attr-defined]
    assert found.low > 0.85 * found.value
    assert found.high < 1.15 * found.value


def test_stacked_constants_time_every_refit_at_once() -> None:
    model = PRESETS["llama3-8b"]
    together = decode_seconds(model, WSE2, 420, 4096, constants=STACKED)
    alone = [float(decode_seconds(model, WSE2, 420, 4096, constants=found)) for found in REFITS]
    assert together[1:] == pytest.approx(np.array(alone))


def test_rate_turns_the_ends_round() -> None:
    assert Interval(0.5, 0.25, 1.0).rate == Interval(2.0, 1.0, 4.0)


def test_pipeline_intervals_hold_its_own_times() -> None:
    placed = place("gpt-oss-120b", WSE3)
    workload = Workload(context=2048, prompt_tokens=512)
    found, times = pipeline_intervals(placed, workload), pipeline(placed, workload=workload)
    assert found.token_s.value == pytest.approx(times.token_s)
    assert found.slowest_s.value == pytest.approx(times.slowest_s)
    assert found.prefill_s.value == pytest.approx(times.prefill_s)
    assert found.token_s.low < times.token_s < found.token_s.high


def test_what_is_far_from_a_measurement_is_named() -> None:
    assert extrapolations(PRESETS["llama3-8b"], WSE2, 4096) == ()
    reasons = " ".join(extrapolations(PRESETS["gpt-oss-120b"], WSE3, 100_000, wafers=6))
    for word in ("WSE-3", "experts", "100,000 tokens", "between wafers"):
        assert word in reasons


def test_many_users_are_as_unsure_as_the_pipeline_they_share() -> None:
    placed = place("llama3-8b", WSE3)
    found, times = pipeline_intervals(placed), pipeline(placed)
    for streams in (1, times.full_at, 1000):
        low, high = found.per_user(streams)
        assert low < times.per_user(streams) < high
    low, high = found.per_user(1000)
    assert (low, high) == pytest.approx((1 / found.slowest_s.high / 1000, 1 / found.slowest_s.low / 1000))
