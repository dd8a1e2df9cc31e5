"""The timing model: measured rows, identities, directions in which it must move, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wse_backend.errors import GridTooLarge, InvalidParams
from wse_backend.wafer.routing import Routing
from wse_backend.wafer.shapes import PRESETS, ModelShape
from wse_backend.wafer.spec import WSE2, WSE3
from wse_backend.wafer.timing import (
    CAUSES,
    FITTED,
    Constants,
    best_side,
    decode,
    decode_seconds,
    gemv,
    generate,
    prefill,
    prefill_seconds,
)
from wse_backend.wafer.timing.constants import PLAUSIBLE_RANGES
from wse_backend.wafer.timing.fitted import RESIDUALS

TINY = ModelShape("tiny", 2, 8, 4, 2, 2, 12, 20, 64)
GROUPS = {"norm", "qkv", "attention", "output", "ffn"}


def test_decode_meets_the_measured_rows() -> None:
    errors = [
        abs(decode(row.model, WSE2, (row.grid, row.grid), row.tokens).tokens_per_second / row.measured - 1)
        for row in RESIDUALS
        if row.phase == "decode"
    ]
    assert len(errors) == 6
    assert np.mean(errors) < 0.005
    assert max(errors) < 0.01


def test_prefill_meets_the_measured_rows() -> None:
    errors = [
        abs(prefill(row.model, WSE2, (row.grid, row.grid), row.tokens).tokens_per_second / row.measured - 1)
        for row in RESIDUALS
        if row.phase == "prefill"
    ]
    assert len(errors) == 6
    assert np.mean(errors) < 0.01
    assert max(errors) < 0.02


def test_best_gemv_meets_the_measured_row() -> None:
    # 0.0012 ms is published with two digits: 0.00115 to 0.00125
    assert gemv(16384, 16384, WSE2).seconds * 1e3 == pytest.approx(0.0012, abs=0.00005)


def test_every_constant_is_physically_plausible() -> None:
    assert len(PLAUSIBLE_RANGES) == 6
    for name, (low, high) in PLAUSIBLE_RANGES.items():
        assert low <= getattr(FITTED, name) <= high, name


def test_one_layer_of_a_tiny_model_by_hand() -> None:
    # 2 x 2 PEs, constants that make each cause countable: the counts are those of test_timing_counts.
    only_hops = Constants(dispatch=0, step=0, hop=1, stage=0, local=0, element=0)
    timed = decode(TINY, WSE2, (2, 2), 1, constants=only_hops)
    # 10 allreduces over 2 PEs, 2 hops each; the head's norm and GEMV: 2 more allreduces
    assert timed.layers[0].causes["hops"] == pytest.approx(20 / 1.1e9)
    assert sum(op.hops_s for op in timed.extra) == pytest.approx(4 / 1.1e9)
    # head: dim 8 in tiles of 4, vocabulary 20 in tiles of 10, four multiply-accumulates per cycle
    assert timed.extra[1].compute_s == pytest.approx(4 * 10 / 4 / 1.1e9)


@pytest.mark.parametrize("phase", [decode, prefill])
@pytest.mark.parametrize("name", ["llama3-8b", "llama-4-scout", "gpt-oss-120b", "smollm2-135m"])
def test_parts_add_up_to_the_whole(phase: object, name: str) -> None:
    timed = phase(name, WSE3)  # type: ignore[operator]
    assert len(timed.layers) == PRESETS[name].n_layers
    ops = [op for layer in timed.layers for op in layer.ops] + list(timed.extra)
    assert sum(op.seconds for op in ops) == pytest.approx(timed.seconds)
    assert sum(timed.causes.values()) == pytest.approx(timed.seconds)
    assert set(timed.causes) == set(CAUSES)
    assert set(timed.layers[0].groups) == GROUPS
    assert timed.kind == "modelled"


def test_tokens_per_second_counts_tokens_over_seconds() -> None:
    assert decode("llama3-8b", WSE2).tokens_per_second == pytest.approx(1 / decode("llama3-8b", WSE2).seconds)
    timed = prefill("llama3-8b", WSE2, tokens=1000)
    assert timed.tokens_per_second == pytest.approx(1000 / timed.seconds)


def test_generation_is_prefill_replacement_and_a_step_per_further_token() -> None:
    timed = generate("llama3-8b", WSE2, 700, 50, (600, 600), (420, 420))
    steps = [decode("llama3-8b", WSE2, (420, 420), 700 + n).seconds for n in range(1, 50)]
    moved = next(op for op in timed.extra if op.name == "re-placement").seconds
    first = prefill("llama3-8b", WSE2, (600, 600), 700).seconds
    assert timed.seconds == pytest.approx(first + moved + sum(steps))
    assert timed.tokens_per_second == pytest.approx(50 / timed.seconds)
    # 16 GB and the cache: half crosses 420 links of 4.4 GB/s
    assert moved == pytest.approx((16.06e9 + 700 * 131072) / 2 / (420 * 4.4e9), rel=0.001)


def test_nothing_is_moved_between_equal_grids() -> None:
    timed = generate("llama3-8b", WSE2, 700, 2, (420, 420), (420, 420))
    assert [op.seconds for op in timed.extra if op.name == "re-placement"] == [0]


def test_one_new_token_needs_no_decode_step() -> None:
    timed = generate("llama3-8b", WSE2, 700, 1, (420, 420), (420, 420))
    assert timed.seconds == pytest.approx(prefill("llama3-8b", WSE2, (420, 420), 700).seconds)


def test_curves_equal_single_points() -> None:
    shape, sides = PRESETS["qwen2-72b"], np.array([420, 540, 660])
    points = [decode(shape, WSE2, (side, side)).seconds for side in sides]
    assert decode_seconds(shape, WSE2, sides, 4096) == pytest.approx(points)
    points = [prefill(shape, WSE2, (side, side)).seconds for side in sides]
    assert prefill_seconds(shape, WSE2, sides, 4096) == pytest.approx(points)


def test_best_side_has_no_faster_neighbour() -> None:
    shape = PRESETS["llama3-8b"]
    for phase, seconds_of in (("decode", decode_seconds), ("prefill", prefill_seconds)):
        best = best_side(shape, WSE2, phase)
        around = np.array([best - 40, best - 1, best, best + 1, best + 40])
        around = around[around <= WSE2.largest_square]
        assert int(around[np.argmin(seconds_of(shape, WSE2, around, 4096))]) == best


def test_decode_has_a_best_grid_and_prefill_wants_a_larger_one() -> None:
    # The story of the measured rows: more PEs slow decode down, prefill gains up to the largest grid.
    assert best_side("llama3-8b", WSE2, "decode") == 342  # as docs/wafer.md says
    assert best_side("llama3-8b", WSE2, "prefill") > 720


def test_batch_costs_less_than_the_same_steps_one_by_one() -> None:
    alone, eight = decode("llama3-8b", WSE2), decode("llama3-8b", WSE2, batch=8)
    assert alone.seconds < eight.seconds < 8 * alone.seconds
    assert eight.tokens_per_second > alone.tokens_per_second


def test_wse3_gains_only_what_its_wider_simd_computes() -> None:
    old, new = decode("qwen2-72b", WSE2), decode("qwen2-72b", WSE3)
    assert new.causes["compute"] < old.causes["compute"]
    assert {cause: new.causes[cause] for cause in CAUSES[1:]} == pytest.approx(
        {cause: old.causes[cause] for cause in CAUSES[1:]}
    )


@settings(max_examples=60, deadline=None)
@given(
    side=st.integers(1, 400),
    context=st.integers(1, 50_000),
    more=st.integers(1, 50_000),
    layers=st.integers(1, 60),
    wider=st.integers(1, 9000),
)
def test_more_work_never_takes_less_time(side: int, context: int, more: int, layers: int, wider: int) -> None:
    shape = replace(PRESETS["qwen2.5-coder-1.5b"], n_layers=layers)
    larger = replace(shape, hidden_dim=shape.hidden_dim + wider)
    deeper = replace(shape, n_layers=layers + 1)
    base = decode_seconds(shape, WSE2, side, context)
    assert decode_seconds(shape, WSE2, side, context + more) >= base
    assert decode_seconds(larger, WSE2, side, context) >= base
    assert decode_seconds(deeper, WSE2, side, context) > base
    first = prefill_seconds(shape, WSE2, side, context)
    assert prefill_seconds(shape, WSE2, side, context + more) >= first
    assert prefill_seconds(shape, WSE2, side, context, more) >= first
    assert prefill_seconds(larger, WSE2, side, context) >= first


@settings(max_examples=40, deadline=None)
@given(side=st.integers(1, 800), tokens=st.integers(2, 4000), part=st.integers(1, 3999))
def test_cached_prefix_never_costs_more_than_a_fresh_prompt(side: int, tokens: int, part: int) -> None:
    cached = min(part, tokens - 1)
    shape = PRESETS["smollm2-135m"]
    behind = prefill_seconds(shape, WSE2, side, tokens - cached, cached)
    assert behind <= prefill_seconds(shape, WSE2, side, tokens) * (1 + 1e-9)


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: decode("llama3-8b", WSE2, context=0), "context is 0"),
        (lambda: decode("llama3-8b", WSE2, batch=0), "batch is 0"),
        (lambda: decode("llama3-8b", WSE2, context=2.5), "context is 2.5"),
        (lambda: prefill("llama3-8b", WSE2, tokens=0), "tokens is 0"),
        (lambda: prefill("llama3-8b", WSE2, cached=-1), "cached is -1"),
        (lambda: gemv(0, 5, WSE2), "m is 0"),
        (lambda: generate("llama3-8b", WSE2, 5, 0), "new_tokens is 0"),
        (lambda: best_side("llama3-8b", WSE2, "train"), "phase is 'train'"),
        (lambda: decode("llama3-9b", WSE2), "model is 'llama3-9b'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_input_is_refused_with_the_number(call: object, field: str) -> None:
    with pytest.raises(InvalidParams, match=field) as caught:
        call()  # type: ignore[operator]
    assert isinstance(caught.value, ValueError)


def test_grid_larger_than_the_wafer_is_refused() -> None:
    with pytest.raises(GridTooLarge, match="1200 x 1200"):
        decode("llama3-8b", WSE2, (1200, 1200))
    with pytest.raises(GridTooLarge):
        generate("llama3-8b", WSE2, 5, 5, (660, 660), (420, 1001))


def test_a_program_that_nobody_knows_is_refused() -> None:
    with pytest.raises(InvalidParams, match="program is 'fast'; allowed: reference, grouped"):
        prefill("llama3-8b", WSE2, program="fast")


def test_grouped_prefill_is_faster_only_where_there_are_groups() -> None:
    def seconds(name: str, program: str) -> float:
        return prefill(name, WSE2, (600, 600), 4096, program=program).seconds

    assert seconds("llama3-8b", "grouped") < 0.97 * seconds("llama3-8b", "reference")
    # llama2-13b has as many key-value heads as query heads
    assert seconds("llama2-13b", "grouped") == seconds("llama2-13b", "reference")


def test_a_request_to_experts_is_its_prefill_and_its_steps() -> None:
    routing = Routing("blocks", 1.5)
    whole = generate("gpt-oss-120b", WSE3, 512, 3, (500, 500), (400, 400), routing=routing)
    read = prefill("gpt-oss-120b", WSE3, (500, 500), 512, routing=routing)
    steps = [decode("gpt-oss-120b", WSE3, (400, 400), n, routing=routing).seconds for n in (513, 514)]
    moved = next(op.seconds for op in whole.extra if op.name == "re-placement")
    assert whole.seconds == pytest.approx(read.seconds + sum(steps) + moved)
