"""Streams, pipelines and money, against hand calculations and the published example."""

from __future__ import annotations

import numpy as np
import pytest

from wse_backend.errors import InvalidParams
from wse_backend.wafer import gpu
from wse_backend.wafer.economics import (
    CROSSING_S,
    Pipeline,
    break_even_streams,
    cost_per_million,
    gpu_energy,
    pipeline,
    pipeline_intervals,
    wafer_energy,
)
from wse_backend.wafer.gpu import H100
from wse_backend.wafer.placement import place
from wse_backend.wafer.shapes import PRESETS
from wse_backend.wafer.spec import WSE2, WSE3
from wse_backend.wafer.timing import decode


def test_four_systems_at_batch_one_cost_about_250_dollars_per_million() -> None:
    # 4 systems for 10 million USD, 100 kW, written off over 3 years, 450 tokens/s: about 250 USD per million
    # tokens, so that at 0.60 USD per million about 420 streams are needed.
    cost = cost_per_million(10e6, 100e3, 3, 450)
    assert cost.total_usd == pytest.approx(250, rel=0.02)
    assert break_even_streams(cost, 0.60) == pytest.approx(420, rel=0.02)


def test_cost_by_hand() -> None:
    # 1 token/s for a year: 31.536 million tokens; 1 kW for 8760 h at 0.5 USD: 4380 USD
    cost = cost_per_million(63_072, 1000, 1, 1, energy_usd_per_kwh=0.5)
    assert cost.capital_usd == pytest.approx(2000)
    assert cost.energy_usd == pytest.approx(4380 / 31.536)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ((-1, 0, 1, 1), "capital_usd"),
        ((1, -1, 1, 1), "power_w"),
        ((1, 1, 0, 1), "years"),
        ((1, 1, 1, 0), "tokens_per_second"),
        ((1, 1, 1, 1, -0.1), "energy_usd_per_kwh"),
        ((float("nan"), 1, 1, 1), "capital_usd"),
    ],
    ids=str,
)
def test_impossible_cost_is_refused(arguments: tuple[float, ...], match: str) -> None:
    with pytest.raises(InvalidParams, match=match):
        cost_per_million(*arguments)


def test_price_of_nothing_never_breaks_even() -> None:
    with pytest.raises(InvalidParams, match="price"):
        break_even_streams(cost_per_million(1, 1, 1, 1), 0)


def test_users_keep_their_speed_until_the_pipeline_is_full() -> None:
    line = Pipeline(stages_s=(0.1, 0.2, 0.1), prefill_s=1.0, held=9)
    assert line.full_at == 2
    assert line.per_user([1, 2, 4]) == pytest.approx([2.5, 2.5, 1.25])
    assert line.throughput([1, 2, 4]) == pytest.approx([2.5, 5.0, 5.0])


def test_regions_add_up_to_the_decode_of_their_grid() -> None:
    placement = place("llama3-8b", WSE2, grid=(360, 360))
    alone = decode("llama3-8b", WSE2, (360, 360)).seconds
    # between six regions a token walks five times half of each grid, 360 hops
    assert pipeline(placement).token_s == pytest.approx(alone, rel=0.01)
    assert pipeline(placement).token_s > alone


def test_more_wafers_of_equal_regions_are_slower_to_the_first_token() -> None:
    lines = [pipeline(place("llama3.1-70b", WSE3, wafers=n, grid=(300, 300))) for n in (5, 8, 10)]
    first_token = [line.prefill_s for line in lines]
    assert first_token == sorted(first_token)
    assert lines[2].prefill_s - lines[0].prefill_s >= 5 * CROSSING_S
    # the slowest region decides the throughput; a region never holds more layers on more wafers
    full = [line.throughput(10_000) for line in lines]
    assert full == sorted(full)


def test_only_activations_cross_between_wafers() -> None:
    two = pipeline(place("llama3-8b", WSE2, wafers=2, grid=(700, 700), mapping="shared"))
    one = pipeline(place("llama3-8b", WSE2, wafers=1, grid=(700, 700), mapping="shared"))
    # one crossing: 4096 fp16 values at 150 GB/s and the switch
    assert two.token_s - one.token_s == pytest.approx(CROSSING_S + 8192 / 150e9, rel=0.01)
    # each wafer holds half of the layers
    assert one.slowest_s / two.slowest_s == pytest.approx(2, rel=0.05)


def test_streams_held_share_the_cache() -> None:
    placement = place("llama3-8b", WSE2)
    assert pipeline(placement, context=1000).held == placement.max_context // 1000


def test_curve_of_users_is_monotonic() -> None:
    line = pipeline(place("llama3.1-70b", WSE3))
    streams = np.arange(1, 500)
    assert (np.diff(line.per_user(streams)) <= 0).all()
    assert (np.diff(line.throughput(streams)) >= -1e-6).all()


@pytest.mark.parametrize("change", [{"context": 0}, {"prompt_tokens": 0}], ids=str)
def test_empty_context_is_refused(change: dict[str, int]) -> None:
    with pytest.raises(InvalidParams, match="is 0; allowed: a whole number from 1"):
        pipeline(place("smollm2-135m", WSE2), **change)


def test_energy_of_a_token_is_power_over_speed() -> None:
    placed = place("llama3.1-8b", WSE3)
    found = pipeline(placed)
    energy = wafer_energy(placed, found, pipeline_intervals(placed))
    assert energy.alone_j.value == pytest.approx(23_000 * found.token_s)
    assert energy.busy_j.value == pytest.approx(23_000 * found.slowest_s, rel=0.02)
    assert 0 < energy.busy_j.low < energy.busy_j.value < energy.busy_j.high
    assert energy.streams <= found.held


def test_energy_of_gpus_counts_their_share_of_the_host() -> None:
    shape = PRESETS["llama3.1-8b"]
    found = gpu_energy(shape, H100, 8, 4096)
    # DGX H100: 10.2 kW at most for eight GPUs
    assert found.power_w == pytest.approx(10_200)
    assert found.alone_j.value == pytest.approx(10_200 * gpu.decode_seconds(shape, H100, 8, 4096))
    assert found.busy_j.value < found.alone_j.value / 10
