"""Replays: a call graph's layers wait for one another, its calls of a layer share the machine."""

from __future__ import annotations

import pytest

from wse_backend.errors import InvalidParams
from wse_backend.wafer import gpu
from wse_backend.wafer.gpu import A100, H100
from wse_backend.wafer.replay import Machine, ReplayCall, replay
from wse_backend.wafer.spec import WSE2, WSE3

GRAPH = [ReplayCall(0, 500, 100, 300)] * 3 + [ReplayCall(1, 1500, 0, 200)] * 3 + [ReplayCall(2, 2500, 0, 600)]


def test_single_call_on_a_gpu_is_prefill_and_steps() -> None:
    run = replay([ReplayCall(0, 1000, 200, 101)], "llama3-8b", Machine(A100))
    # steps 2 to 101 at the middle context 1050; the first token comes from the prefill
    steps = 100 * gpu.decode_seconds("llama3-8b", A100, context=1050)
    assert len(run.layers_s) == 1
    assert run.layers_s[0] == pytest.approx((gpu.prefill_seconds("llama3-8b", A100, 1, 800, 200), steps))
    assert run.seconds == pytest.approx(sum(run.layers_s[0]))


def test_streams_leave_when_they_have_their_tokens() -> None:
    short, long = ReplayCall(0, 100, 0, 11), ReplayCall(0, 100, 0, 31)
    run = replay([short, long], "llama3-8b", Machine(A100))
    together = 10 * gpu.decode_seconds("llama3-8b", A100, context=105, streams=2)
    alone = 20 * gpu.decode_seconds("llama3-8b", A100, context=120)
    assert run.layers_s[0][1] == pytest.approx(together + alone)


@pytest.mark.parametrize("machine", [Machine(WSE2), Machine(WSE3, 4), Machine(H100)], ids=lambda m: m.name)
def test_layers_add_up(machine: Machine) -> None:
    whole = replay(GRAPH, "llama3.1-8b", machine)
    parts = [replay([call for call in GRAPH if call.layer == n], "llama3.1-8b", machine) for n in range(3)]
    assert whole.seconds == pytest.approx(sum(sum(pair) for pair in whole.layers_s))
    assert len(whole.layers_s) == 3
    if machine.spec is H100:  # a wafer's grids depend on the longest call
        assert whole.seconds == pytest.approx(sum(part.seconds or 0 for part in parts))


@pytest.mark.parametrize("machine", [Machine(WSE3), Machine(A100)], ids=lambda m: m.name)
def test_calls_at_once_take_less_than_one_after_another(machine: Machine) -> None:
    at_once = replay([ReplayCall(0, 100, 0, 200)] * 3, "llama3-8b", machine).seconds
    in_turn = replay([ReplayCall(n, 100, 0, 200) for n in range(3)], "llama3-8b", machine).seconds
    assert at_once is not None
    assert in_turn is not None
    assert at_once < in_turn


def test_order_of_calls_does_not_matter() -> None:
    forward, backward = (replay(calls, "llama3-8b", Machine(WSE3)) for calls in (GRAPH, GRAPH[::-1]))
    assert forward == backward


def test_cached_prompt_is_faster_than_a_fresh_one() -> None:
    fresh, cached = (
        replay([ReplayCall(0, 4000, n, 1)], "llama3-8b", Machine(WSE2)).seconds for n in (0, 3900)
    )
    assert cached is not None
    assert fresh is not None
    assert cached < fresh


def test_fully_cached_prompt_still_computes_its_last_token() -> None:
    run = replay([ReplayCall(0, 100, 100, 1)], "llama3-8b", Machine(A100))
    assert run.seconds == pytest.approx(gpu.prefill_seconds("llama3-8b", A100, 1, 1, 99))


def test_wafer_answers_sooner_than_gpus() -> None:
    wafer, gpus = (replay(GRAPH, "llama3.1-70b", m).seconds for m in (Machine(WSE3, 4), Machine(H100, 8)))
    assert wafer is not None
    assert gpus is not None
    assert wafer < gpus / 2


@pytest.mark.parametrize(
    ("machine", "would_do"),
    [(Machine(WSE3), "4 would do"), (Machine(H100), "2 would do")],
    ids=lambda value: getattr(value, "name", ""),
)
def test_model_that_does_not_fit_is_a_result_with_the_reason(machine: Machine, would_do: str) -> None:
    run = replay(GRAPH, "llama3.1-70b", machine)
    assert (run.seconds, run.layers_s) == (None, ())
    assert would_do in run.refusal


def test_number_of_machines_is_in_the_name() -> None:
    assert (Machine(WSE3).name, Machine(H100, 8).name) == ("WSE-3", "8 x H100 SXM")


@pytest.mark.parametrize(
    ("counts", "match"),
    [
        ((-1, 1, 0, 1), "layer is -1"),
        ((0, 0, 0, 1), "prompt_tokens is 0"),
        ((0, 5, 6, 1), "cached_tokens is 6; allowed: at most prompt_tokens = 5"),
        ((0, 5, 0, -1), "completion_tokens is -1"),
    ],
    ids=str,
)
def test_impossible_call_is_refused(counts: tuple[int, int, int, int], match: str) -> None:
    with pytest.raises(InvalidParams, match=match):
        ReplayCall(*counts)


def test_empty_graph_and_no_machine_are_refused() -> None:
    with pytest.raises(InvalidParams, match="calls is 0"):
        replay([], "llama3-8b", Machine(WSE2))
    with pytest.raises(InvalidParams, match="machines is 0"):
        replay(GRAPH, "llama3-8b", Machine(WSE2, 0))
