"""Router traces, drawn and given; experts in blocks and spread, counted by hand; what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from wse_backend.errors import InvalidParams
from wse_backend.wafer.placement import place
from wse_backend.wafer.routing import RouterTrace, Routing
from wse_backend.wafer.shapes import PRESETS, ModelShape
from wse_backend.wafer.spec import WSE2, WSE3
from wse_backend.wafer.timing import decode, prefill
from wse_backend.wafer.timing.counts import decode_counts, prefill_counts
from wse_backend.wafer.timing.ops import Mesh, OpCount

# 4 experts of which 2 work, FFN 12, dim 8: on 8 x 8 PEs two bands of two blocks of 4 x 4
TINY = ModelShape("tiny", 2, 8, 4, 2, 2, 12, 20, 64, n_experts=4, n_experts_active=2)
MESH = Mesh.of(WSE2, 8, 8)
BLOCKS = Routing("blocks")


def named(ops: list[OpCount]) -> dict[str, OpCount]:
    return {op.name: op for op in ops}


def test_block_does_its_experts_products_by_hand() -> None:
    ops = named(decode_counts(TINY, MESH, context=8, routing=BLOCKS))
    # on 4 x 4 PEs: dim 8 in tiles of 2, FFN 12 in tiles of 3 (padded to 4 in 32-bit words)
    assert ops["gate and up"].macs == 2 * 2 * 4
    assert ops["gate and up"].hops == 4
    assert ops["down"].macs == 3 * 2


def test_traffic_goes_to_the_block_and_back_by_hand() -> None:
    ops = named(decode_counts(TINY, MESH, context=8, routing=BLOCKS))
    # there: 8 rows; back: 8 rows and an allreduce over 8 columns
    assert ops["all-to-all"].hops == 8 + 8 + 8
    # 8 values are 4 words; 4 links into a block of 4 x 4; 2 experts' vectors, half over 8 links: less. Two
    # ways.
    assert ops["all-to-all"].words == 2 * max(4 / 4, 2 * 4 / 2 / 8)


def test_spread_experts_have_no_traffic_and_take_turns() -> None:
    spread, blocks = (named(decode_counts(TINY, MESH, 8, routing=r)) for r in (Routing(), BLOCKS))
    assert set(blocks) - set(spread) == {"all-to-all"}
    # both active experts in turn, dim 8 in tiles of 1, FFN 12 in tiles of 2
    assert spread["gate and up"].macs == 2 * 2 * 1 * 2


def test_busiest_expert_decides_a_prefill_in_blocks() -> None:
    even, uneven = (
        named(prefill_counts(TINY, MESH, 32, routing=Routing("blocks", imbalance)))
        for imbalance in (1.0, 2.0)
    )
    # 32 tokens x 2 of 4 experts: 16 each, tiles of 4 rows on 4; twice as many are tiles of 8
    assert uneven["down"].macs == 2 * even["down"].macs
    assert uneven["all-to-all"].words == 2 * even["all-to-all"].words
    spread = [prefill_counts(TINY, MESH, 32, routing=Routing("spread", i)) for i in (1.0, 2.0)]
    assert spread[0] == spread[1]


def test_no_expert_gets_more_tokens_than_there_are() -> None:
    one, many = (decode_counts(TINY, MESH, 8, routing=Routing("blocks", i)) for i in (1.0, 50.0))
    assert one == many


def test_drawn_traces_are_repeatable_and_more_uneven_with_more_skew() -> None:
    shape = PRESETS["qwen3-235b-a22b"]
    traces = [RouterTrace.drawn(shape, 256, skew, seed=3) for skew in (0.0, 1.0)]
    again = RouterTrace.drawn(shape, 256, 1.0, seed=3)
    assert np.array_equal(traces[1].experts, again.experts)
    assert 1 < traces[0].imbalance(256) < traces[1].imbalance(256)
    assert traces[0].loads(0).sum() == 256 * 8


def test_imbalance_of_a_trace_by_hand() -> None:
    # two tokens, one layer: expert 0 twice, experts 1 and 2 once; the mean of 4 experts is 1
    trace = RouterTrace(np.array([[[0, 1]], [[0, 2]]]), n_experts=4)
    assert trace.imbalance(2) == 2.0
    assert trace.imbalance(1) == 2.0  # one token: its experts have 1, the mean is 2 / 4
    assert trace.loads(0).tolist() == [2, 1, 1, 0]


def test_trace_of_an_engine_is_read_and_checked() -> None:
    text = json.dumps([[[0, 1], [2, 3]], [[1, 3], [0, 2]]])
    trace = RouterTrace.parse(text, TINY)
    assert trace.kind == "measured"
    assert trace.loads(1).tolist() == [1, 0, 2, 1]


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ([[[0, 1]]], "layers of the router trace is 1; allowed: 2 of tiny"),
        ([[[0], [1]]], "experts per token of the router trace is 1; allowed: 2 of tiny"),
        ([[[0, 4], [1, 2]]], "expert in the router trace is 4; allowed: 0 to 3"),
        ([[[0, -1], [1, 2]]], "expert in the router trace is -1; allowed: 0 to 3"),
        ([[[1, 1], [1, 2]]], r"\[1, 1\] for token 0 in layer 0"),
        ([[0, 1]], "allowed: JSON"),
        ([[[0.5, 1], [1, 2]]], "allowed: JSON"),
        ([[[0, 1], [1]]], "allowed: JSON"),
        ("no trace", "allowed: JSON"),
    ],
    ids=str,
)
def test_trace_that_does_not_fit_the_model_is_refused(found: object, message: str) -> None:
    with pytest.raises(InvalidParams, match=message):
        RouterTrace.parse(json.dumps(found), TINY)


def test_text_that_is_no_json_is_refused() -> None:
    with pytest.raises(InvalidParams, match="router trace"):
        RouterTrace.parse("[[[", TINY)


@pytest.mark.parametrize(
    ("change", "field"),
    [({"tokens": 0}, "tokens"), ({"skew": -1.0}, "skew"), ({"skew": 9.0}, "skew")],
    ids=str,
)
def test_drawing_out_of_range_is_refused(change: dict[str, float], field: str) -> None:
    with pytest.raises(InvalidParams, match=field):
        RouterTrace.drawn(TINY, **{"tokens": 8, **change})  # type: ignore[arg-type]


def test_dense_model_has_no_trace() -> None:
    with pytest.raises(InvalidParams, match="allowed: a mixture of experts"):
        RouterTrace.drawn(PRESETS["llama3-8b"], 8)


@pytest.mark.parametrize(
    ("placement", "imbalance"), [("rows", 1.0), ("blocks", 0.5), ("blocks", float("nan"))]
)
def test_routing_out_of_range_is_refused(placement: str, imbalance: float) -> None:
    with pytest.raises(InvalidParams):
        Routing(placement, imbalance)


@pytest.mark.parametrize("phase", [decode, prefill])
def test_more_experts_than_blocks_are_refused_with_the_numbers(phase: object) -> None:
    with pytest.raises(InvalidParams, match="n_experts is 128; allowed: at most 110 in 11 bands"):
        phase("gpt-oss-120b", WSE2, (10, 20), 64, routing=BLOCKS)  # type: ignore[operator]


def test_more_experts_than_pes_are_refused_before_a_wafer_is_laid_out() -> None:
    crowded = replace(PRESETS["gpt-oss-120b"], n_experts=2_000_000)
    with pytest.raises(InvalidParams, match="n_experts is 2000000"):
        place(crowded, WSE3, experts="blocks")


def test_blocks_waste_less_sram_than_spread_experts() -> None:
    bytes_held = {
        experts: sum(
            region.weight_bytes * region.pes
            for region in place("gpt-oss-120b", WSE3, experts=experts).regions
        )
        for experts in ("spread", "blocks")
    }
    assert bytes_held["blocks"] < bytes_held["spread"]
