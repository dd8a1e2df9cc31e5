"""What must hold of every model, grid and length that anybody may ask for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wse_backend.wafer import gpu
from wse_backend.wafer.economics import gpu_energy, pipeline, pipeline_intervals, wafer_energy
from wse_backend.wafer.placement import place
from wse_backend.wafer.routing import RouterTrace, Routing
from wse_backend.wafer.shapes import PRESETS, ModelShape
from wse_backend.wafer.spec import WSE2, WSE3, WaferSpec
from wse_backend.wafer.timing import decode, decode_seconds, prefill_seconds
from wse_backend.wafer.timing.counts import decode_counts, prefill_counts
from wse_backend.wafer.timing.ops import Mesh

SIDES = st.integers(8, 800)
TOKENS = st.integers(1, 200_000)
SPECS = st.sampled_from([WSE2, WSE3])
ROUTINGS = st.builds(Routing, st.sampled_from(["spread", "blocks"]), st.floats(1, 50))


@st.composite
def shapes(draw: st.DrawFn) -> ModelShape:
    """Models of any proportions: grouped or not, dense or with experts, with windows or without."""
    kv_heads = draw(st.sampled_from([1, 2, 4, 8]))
    n_experts = draw(st.sampled_from([0, 4, 16]))
    window = draw(st.sampled_from([0, 1, 128, 5000]))
    return ModelShape(
        "any",
        draw(st.integers(1, 8)),
        draw(st.integers(1, 4096)),
        kv_heads * draw(st.integers(1, 4)),
        kv_heads,
        draw(st.integers(1, 128)),
        draw(st.integers(1, 8192)),
        draw(st.integers(1, 50_000)),
        4096,
        n_experts=n_experts,
        n_experts_active=min(n_experts, draw(st.integers(1, 4))),
        window=window,
        global_every=draw(st.integers(0, 3)) if window else 0,
    )


def step_s(shape: ModelShape, spec: WaferSpec, side: int, context: int, routing: Routing) -> float:
    return float(decode_seconds(shape, spec, side, context, routing=routing))


def prompt_s(shape: ModelShape, spec: WaferSpec, side: int, tokens: int, routing: Routing) -> float:
    return float(prefill_seconds(shape, spec, side, tokens, routing=routing))


@settings(deadline=None, max_examples=60)
@given(shapes(), SPECS, SIDES, TOKENS, TOKENS, ROUTINGS)
def test_more_tokens_never_take_less_time(
    shape: ModelShape, spec: WaferSpec, side: int, one: int, other: int, routing: Routing
) -> None:
    few, many = sorted((one, other))
    for timed in (step_s, prompt_s):
        assert 0 < timed(shape, spec, side, few, routing) <= timed(shape, spec, side, many, routing)


@settings(deadline=None, max_examples=60)
@given(shapes(), SPECS, SIDES, TOKENS, ROUTINGS, st.sampled_from(["n_layers", "hidden_dim", "vocab_size"]))
def test_more_weights_never_take_less_time(
    shape: ModelShape, spec: WaferSpec, side: int, tokens: int, routing: Routing, field: str
) -> None:
    larger = replace(shape, **{field: 2 * getattr(shape, field)})  # type: ignore[arg-type]
    for timed in (step_s, prompt_s):
        small, large = (timed(model, spec, side, tokens, routing) for model in (shape, larger))
        assert small < large if field == "n_layers" else small <= large


@settings(deadline=None, max_examples=60)
@given(shapes(), SPECS, SIDES, SIDES, TOKENS)
def test_more_pes_slow_a_token_down_by_distance_only(
    shape: ModelShape, spec: WaferSpec, one: int, other: int, context: int
) -> None:
    few, many = (decode(shape, spec, (side, side), context).causes for side in sorted((one, other)))
    for cause in ("compute", "overhead"):
        assert many[cause] <= few[cause] * (1 + 1e-9)
    assert many["hops"] >= few["hops"]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 5), st.integers(1, 8), SPECS)
def test_more_pes_slow_a_prompt_down_by_rounding_and_steps_only(
    power: int, dims: int, spec: WaferSpec
) -> None:
    # tiles that divide evenly on both grids and hold whole words: four times the PEs, a quarter of the work
    side = 4 * 2**power
    shape = ModelShape("even", 1, 2 * side * dims, 4, 4, side, 4 * side * dims, 4 * side, 64)
    small, large = (
        prefill_counts(shape, Mesh.of(spec, p, p), 8 * side, wide_kv=False) for p in (side, 2 * side)
    )
    macs = [sum(float(op.macs) for op in ops) for ops in (small, large)]
    assert macs[1] == macs[0] / 4


@settings(deadline=None, max_examples=30)
@given(st.sampled_from(sorted(PRESETS)), st.integers(1, 20_000))
def test_energy_is_positive_and_company_never_costs_a_token_more(name: str, context: int) -> None:
    placed = place(name, WSE3, context)
    found = wafer_energy(placed, pipeline(placed), pipeline_intervals(placed))
    machines = [found, gpu_energy(PRESETS[name], gpu.B200, 64, context)]
    for energy in machines:
        assert 0 < energy.busy_j.low <= energy.busy_j.value <= energy.busy_j.high
        assert energy.busy_j.value <= energy.alone_j.value * (1 + 1e-9)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 300), st.floats(0, 4), st.integers(0, 2**40), st.integers(1, 64), st.integers(1, 8))
def test_routers_lose_no_token_and_send_none_twice(
    tokens: int, skew: float, seed: int, n_experts: int, active: int
) -> None:
    shape = replace(PRESETS["gpt-oss-120b"], n_experts=n_experts, n_experts_active=min(active, n_experts))
    trace = RouterTrace.drawn(shape, tokens, skew, seed)
    for layer in range(trace.experts.shape[1]):
        assert trace.loads(layer).sum() == tokens * shape.n_experts_active
        assert trace.loads(layer).max() <= tokens
    assert 1 <= trace.imbalance(tokens) <= n_experts


@settings(deadline=None, max_examples=40)
@given(shapes().filter(lambda shape: shape.n_experts > 0), st.integers(1, 5000), st.floats(1, 20))
def test_what_goes_to_the_experts_comes_back(shape: ModelShape, tokens: int, imbalance: float) -> None:
    mesh, routing = Mesh.of(WSE3, 200, 300), Routing("blocks", imbalance)
    # one way of every token's vectors to its experts, in words: half of them cross the middle
    vector = np.ceil(shape.dim / 2)
    for ops in (
        decode_counts(shape, mesh, 64, tokens, routing=routing),
        prefill_counts(shape, mesh, tokens, routing=routing),
    ):
        both = next(float(op.words) for op in ops if op.name == "all-to-all")
        across_the_middle = tokens * shape.n_experts_active * vector / 2 / 200
        assert both >= 2 * across_the_middle * (1 - 1e-9)
        assert both <= 2 * max(across_the_middle, tokens * vector) * (1 + 1e-9)


def test_interval_of_a_pipeline_is_never_empty() -> None:
    for name in ("gpt-oss-120b", "gemma-4-31b", "smollm2-135m"):
        found = pipeline_intervals(place(name, WSE3))
        for one in (found.token_s, found.slowest_s, found.prefill_s):
            assert 0 < one.low < one.value < one.high
            assert one.over(one).value == pytest.approx(1)
            assert one.over(one).low < 1 < one.over(one).high
