"""Sampling: which parameters are refused, and that the draws follow the distribution they promise."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from wse_backend import InvalidParams, SamplingParams, WseError
from wse_backend.engine.sampling import Sampler

LOGITS = np.log(np.array([0.5, 0.25, 0.125, 0.0625, 0.0625], np.float32))


def draws(params: SamplingParams, n: int = 4000, logits: np.ndarray = LOGITS) -> np.ndarray:
    sampler = Sampler(params)
    return np.bincount([sampler.choose(logits) for _ in range(n)], minlength=logits.size) / n


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[("temperature", value) for value in (math.nan, math.inf, -0.1, 5.1, "hot", True, None)],
        *[("top_p", value) for value in (0, -1, 1.01, math.nan, "0.9")],
        *[("top_k", value) for value in (-1, 1.5, True, 1 << 31)],
        *[("max_tokens", value) for value in (0, -5, 1.5, None, 1 << 31)],
        *[("repetition_penalty", value) for value in (0, 0.9, 2.1, math.nan, "1", None)],
        *[("seed", value) for value in (-1, 1 << 64, 0.5, "7")],
        *[("stop", value) for value in (("",), ("x",) * 10_000, ("x" * 1000,), (3,), 5, {"a": 1})],
    ],
)
def test_a_parameter_out_of_range_is_refused_by_its_name(field: str, value: object) -> None:
    with pytest.raises(InvalidParams) as refused:
        SamplingParams(**{field: value})
    assert refused.value.field == field
    assert field in str(refused.value)
    assert len(str(refused.value)) < 300
    assert isinstance(refused.value, (ValueError, WseError))


@pytest.mark.parametrize("stop", ["END", ["END"], ("END",)])
def test_stop_takes_one_text_or_several(stop: object) -> None:
    assert SamplingParams(stop=stop).stop == ("END",)  # type: ignore[arg-type]


def test_temperature_zero_takes_the_first_of_the_largest() -> None:
    logits = np.array([1.0, 3.0, 3.0, 2.0], np.float32)
    assert {Sampler(SamplingParams(temperature=0, seed=seed)).choose(logits) for seed in range(20)} == {1}


def test_draws_follow_the_softmax() -> None:
    shares = draws(SamplingParams(temperature=1, top_p=1, seed=1))
    # standard error at most sqrt(0.25 / 4000) = 0.008; five of them
    np.testing.assert_allclose(shares, np.exp(LOGITS), atol=0.04)


def test_temperature_sharpens() -> None:
    shares = draws(SamplingParams(temperature=0.5, top_p=1, seed=1))
    squared = np.exp(LOGITS) ** 2
    np.testing.assert_allclose(shares, squared / squared.sum(), atol=0.04)


def test_top_k_keeps_the_k_most_likely() -> None:
    shares = draws(SamplingParams(temperature=1, top_p=1, top_k=2, seed=1))
    np.testing.assert_allclose(shares, [2 / 3, 1 / 3, 0, 0, 0], atol=0.04)


@pytest.mark.parametrize(("top_p", "kept"), [(0.5, 1), (0.51, 2), (0.75, 2), (0.8, 3), (0.9, 4)])
def test_top_p_keeps_the_fewest_that_reach_it(top_p: float, kept: int) -> None:
    shares = draws(SamplingParams(temperature=1, top_p=top_p, seed=1), n=1500)
    assert np.flatnonzero(shares).tolist() == list(range(kept))


def test_the_shortcut_of_the_nucleus_equals_sorting_everything() -> None:
    rng = np.random.default_rng(3)
    for case in range(60):
        logits = rng.normal(0, 4, 3000).astype(np.float32)
        params = SamplingParams(
            temperature=float(rng.uniform(0.2, 3)), top_p=float(rng.uniform(0.05, 0.999)),
            top_k=int(rng.integers(0, 100)), seed=case,
        )  # fmt: skip
        assert Sampler(params).choose(logits) == _by_sorting_everything(params, logits)


def _by_sorting_everything(params: SamplingParams, logits: np.ndarray) -> int:
    """The definition: softmax, sort, cut to k, cut to p, draw."""
    draw = np.random.Generator(np.random.PCG64(params.seed)).random()
    weights = np.exp((logits.astype(np.float64) - logits.max()) / params.temperature)
    order = np.argsort(-weights, kind="stable")[: params.top_k or None]
    share = np.cumsum(weights[order]) / weights[order].sum()
    order = order[: int(np.searchsorted(share, params.top_p)) + 1]
    share = np.cumsum(weights[order]) / weights[order].sum()
    return int(order[np.searchsorted(share, draw, side="right")])


@given(
    arrays(np.float32, st.integers(1, 50), elements=st.floats(-80, 80, width=32)),
    st.floats(0, 5),
    st.floats(0.001, 1),
    st.integers(0, 60),
    st.integers(0, 2**64 - 1),
)
def test_any_logits_and_parameters_choose_a_token(logits, temperature, top_p, top_k, seed) -> None:
    params = SamplingParams(temperature=temperature, top_p=top_p, top_k=top_k, seed=seed)
    assert 0 <= Sampler(params).choose(logits) < logits.size


@pytest.mark.parametrize("where", [0, 17, 49])
@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("temperature", [0, 1])
def test_logits_that_are_no_numbers_choose_nothing(where: int, value: float, temperature: float) -> None:
    logits = np.zeros(50, np.float32)
    logits[where] = value
    with pytest.raises(FloatingPointError):
        Sampler(SamplingParams(temperature=temperature, seed=1)).choose(logits)


def test_a_repetition_penalty_divides_what_was_said_already() -> None:
    params = SamplingParams(temperature=0, repetition_penalty=1.25)
    sampler = Sampler(params)
    logits = [np.array([4.0, 3.5, -1.0, -1.2], np.float32) for _ in range(3)]
    assert [sampler.choose(row) for row in logits] == [0, 1, 0]  # 4 / 1.25 = 3.2 < 3.5; then 3.5 / 1.25 < 3.2
    lower = Sampler(params)
    pairs = [np.array([-1.0, -1.2], np.float32) for _ in range(2)]
    assert [lower.choose(row) for row in pairs] == [0, 1]  # -1 x 1.25 = -1.25


def test_without_a_penalty_logits_stay_as_they_are() -> None:
    sampler, logits = Sampler(SamplingParams(temperature=0)), np.array([4.0, 3.9], np.float32)
    assert [sampler.choose(logits) for _ in range(3)] == [0, 0, 0]
    assert logits.tolist() == [4.0, np.float32(3.9)]
