"""What no wafer, model or service can be: refused by every function that takes it, with the numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from wse_backend.errors import DoesNotFit, InvalidParams
from wse_backend.wafer import gpu
from wse_backend.wafer.defects import draw, draw_usable, yield_of
from wse_backend.wafer.economics import Workload, break_even_streams, cost_per_million, pipeline
from wse_backend.wafer.placement import place
from wse_backend.wafer.replay import Machine, ReplayCall, replay
from wse_backend.wafer.routing import RouterTrace, Routing
from wse_backend.wafer.shapes import PRESETS
from wse_backend.wafer.spec import WSE2, WSE3
from wse_backend.wafer.speculative import Speculation, needed_acceptance
from wse_backend.wafer.timing import decode, gemv, generate, prefill

NAN, INF = float("nan"), float("inf")
NO_COUNTS = [0, -1, NAN, INF, 1.5, 10**30, "8", None, True]
SMALL = PRESETS["smollm2-135m"]
MIXTURE = PRESETS["gpt-oss-120b"]

COUNTED: dict[str, Callable[[object], object]] = {
    "decode: context": lambda n: decode(SMALL, WSE2, (64, 64), n),  # type: ignore[arg-type]
    "decode: batch": lambda n: decode(SMALL, WSE2, (64, 64), 8, batch=n),  # type: ignore[arg-type]
    "prefill: tokens": lambda n: prefill(SMALL, WSE2, (64, 64), n),  # type: ignore[arg-type]
    "gemv: m": lambda n: gemv(n, 64, WSE2, (8, 8)),  # type: ignore[arg-type]
    "generate: new tokens": lambda n: generate(SMALL, WSE2, 8, n, (64, 64), (64, 64)),  # type: ignore[arg-type]
    "place: context": lambda n: place(SMALL, WSE3, n),  # type: ignore[arg-type]
    "place: wafers": lambda n: place(SMALL, WSE3, wafers=n) if n is not None else place(SMALL, WSE3, 0),  # type: ignore[arg-type]
    "pipeline: context": lambda n: pipeline(place(SMALL, WSE3), n if n is not None else 0),  # type: ignore[arg-type]
    "pipeline: batch": lambda n: pipeline(place(SMALL, WSE3), workload=Workload(batch=n)),  # type: ignore[arg-type]
    "gpu: gpus": lambda n: gpu.decode_seconds(SMALL, gpu.H100, n),  # type: ignore[arg-type]
    "gpu: context": lambda n: gpu.decode_seconds(SMALL, gpu.H100, 1, n),  # type: ignore[arg-type]
    "gpu: streams": lambda n: gpu.decode_seconds(SMALL, gpu.H100, 1, 8, n),  # type: ignore[arg-type]
    "gpu: prompt": lambda n: gpu.prefill_seconds(SMALL, gpu.H100, 1, n),  # type: ignore[arg-type]
    "gpu: needed": lambda n: gpu.needed_gpus(SMALL, gpu.H100, n),  # type: ignore[arg-type]
    "gpu: held": lambda n: gpu.held_streams(SMALL, gpu.H100, 1, n),  # type: ignore[arg-type]
    "replay: prompt": lambda n: ReplayCall(1, n, 0, 8),  # type: ignore[arg-type]
    "replay: machines": lambda n: replay([ReplayCall(1, 8, 0, 8)], SMALL, Machine(WSE3, n)),  # type: ignore[arg-type]
    "trace: tokens": lambda n: RouterTrace.drawn(MIXTURE, n),  # type: ignore[arg-type]
    "trace: window": lambda n: RouterTrace.drawn(MIXTURE, 8).imbalance(n),  # type: ignore[arg-type]
    "wafers drawn": lambda n: yield_of(WSE3, 0.1, n),  # type: ignore[arg-type]
    "usable wafers": lambda n: draw_usable(WSE3, 0.1, wafers=n),  # type: ignore[arg-type]
    "layers": lambda n: replace(SMALL, n_layers=n),  # type: ignore[arg-type]
    "width": lambda n: replace(SMALL, dim=n),  # type: ignore[arg-type]
    "vocabulary": lambda n: replace(SMALL, vocab_size=n),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("value", NO_COUNTS, ids=str)
@pytest.mark.parametrize("call", COUNTED.values(), ids=COUNTED)
def test_what_is_no_count_is_refused_with_it_and_the_range(
    call: Callable[[object], object], value: object
) -> None:
    with pytest.raises(InvalidParams, match=r"is .*; allowed: a whole number from 1 to \d"):
        call(value)


MEASURED: dict[str, Callable[[float], object]] = {
    "acceptance": lambda x: Speculation(acceptance=x),
    "draft share": lambda x: Speculation(draft_share=x),
    "drafted": lambda x: Speculation(drafted=x),  # type: ignore[arg-type]
    "skew": lambda x: RouterTrace.drawn(MIXTURE, 8, x),
    "imbalance": lambda x: Routing("blocks", x),
    "defects": lambda x: draw(WSE3, x),
    "capital": lambda x: cost_per_million(x, 1, 1, 1),
    "power": lambda x: cost_per_million(1, x, 1, 1),
    "years": lambda x: cost_per_million(1, 1, x, 1),
    "speed": lambda x: cost_per_million(1, 1, 1, x),
    "price": partial(break_even_streams, cost_per_million(1, 1, 1, 1)),
    "published speed": lambda x: needed_acceptance(place(SMALL, WSE3), x, Speculation()),
}


@pytest.mark.parametrize("value", [-0.5, NAN, INF, -INF, "1", None], ids=str)
@pytest.mark.parametrize("call", MEASURED.values(), ids=MEASURED)
def test_what_is_no_number_in_range_is_refused(call: Callable[[float], object], value: float) -> None:
    with pytest.raises(InvalidParams, match=r"is .*; allowed: .*\d"):
        call(value)


@pytest.mark.parametrize("seed", [-1, 0.5, NAN])
def test_seed_that_is_none_is_refused(seed: int) -> None:
    for call in (partial(draw, WSE3, 0.1), partial(RouterTrace.drawn, MIXTURE, 8, 0.0)):
        with pytest.raises(InvalidParams, match="seed"):
            call(seed)


def test_numbers_of_numpy_are_numbers() -> None:
    assert decode(SMALL, WSE2, (64, 64), np.int64(8)) == decode(SMALL, WSE2, (64, 64), 8)
    assert Speculation(np.float64(0.5), np.int32(3)).kept == Speculation(0.5, 3).kept  # type: ignore[arg-type]


def test_largest_context_that_is_allowed_is_timed() -> None:
    times = [f(SMALL, WSE3, (400, 400), 100_000_000).seconds for f in (decode, prefill)]
    assert all(np.isfinite(times))
    with pytest.raises(DoesNotFit, match="bytes"):
        place("llama3-8b", WSE3, 100_000_000, 1)


def test_model_with_more_weights_than_numbers_reach_is_refused() -> None:
    with pytest.raises(InvalidParams, match=r"weights of gpt-oss-120b is .*; allowed: at most"):
        replace(MIXTURE, hidden_dim=1 << 20, dim=1 << 20, n_experts=1 << 24)


def test_more_experts_than_a_region_has_blocks_for_need_more_wafers_or_are_refused() -> None:
    # 36 regions of a WSE-3 have at most 25,000 PEs each: too few for 60,000 experts
    crowded = replace(MIXTURE, n_experts=60_000, hidden_dim=1)
    with pytest.raises(DoesNotFit, match=r"\d+ would do") as refused:
        place(crowded, WSE3, wafers=1, experts="blocks")
    placed = place(crowded, WSE3, wafers=refused.value.wafers_needed, experts="blocks")
    assert pipeline(placed, workload=Workload(routing=Routing("blocks"))).token_s > 0


TRACES: dict[str, tuple[object, str]] = {
    "fractions": (np.zeros((1, 1, 1)), "float64 of shape"),
    "two axes": (np.zeros((1, 1), np.int64), "whole numbers, tokens x layers x experts"),
    "nothing": (np.zeros((0, 1, 1), np.int64), "whole numbers, tokens x layers x experts"),
    "an expert twice": (np.array([[[0, 1]], [[2, 2]]]), r"\[2, 2\] for token 1 in layer 0"),
    "too large a number": (np.array([[[4, 1]]]), "is 4; allowed: 0 to 3"),
}


@pytest.mark.parametrize(("found", "said"), TRACES.values(), ids=TRACES)
def test_array_that_is_no_trace_is_refused_with_the_place(found: np.ndarray, said: str) -> None:
    with pytest.raises(InvalidParams, match=said):
        RouterTrace(found, 4)
