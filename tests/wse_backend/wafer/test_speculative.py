"""Speculative decoding: the textbook's numbers, the two ways through a pipeline, what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wse_backend.errors import InvalidParams
from wse_backend.wafer.economics import pipeline
from wse_backend.wafer.placement import place
from wse_backend.wafer.spec import WSE2, WSE3
from wse_backend.wafer.speculative import Speculation, needed_acceptance, speculate


def test_tokens_kept_are_the_textbooks() -> None:
    # Leviathan et al. 2023, eq. 1: (1 - 0.8^6) / (1 - 0.8) = 3.68928 for five drafts of which 80 % are kept
    assert Speculation(0.8, 5).kept == pytest.approx(3.68928)
    assert Speculation(0.0, 5).kept == 1
    assert Speculation(1.0, 5).kept == 6


def test_drafts_one_behind_another_cost_a_region_each() -> None:
    placed = place("llama3.1-70b", WSE3)
    found, times = speculate(placed, Speculation(1.0, 4, 0.0)), pipeline(placed)
    assert found.way == "one behind another"
    assert found.pass_s.value == pytest.approx(times.token_s + 4 * times.slowest_s)
    assert found.drafted_s.value == pytest.approx(found.pass_s.value / 5)


def test_on_one_grid_drafts_go_together() -> None:
    placed = place("llama3-8b", WSE2, grid=(660, 660), mapping="shared")
    assert speculate(placed, Speculation(0.7, 4)).way == "together"


def test_drafts_that_are_never_kept_only_cost() -> None:
    found = speculate(place("llama3-8b", WSE3), Speculation(0.0, 4, 0.1))
    assert found.gain.value < 1
    nothing = speculate(place("llama3-8b", WSE3), Speculation(0.5, 0, 0.5))
    assert nothing.gain.value == pytest.approx(1)


def test_needed_acceptance_gives_the_speed_it_was_asked_for() -> None:
    placed, speculation = place("llama3.1-70b", WSE3), Speculation(0.5, 4, 0.1)
    plain = 1 / speculate(placed, speculation).plain_s.value
    acceptance = needed_acceptance(placed, 1.5 * plain, speculation)
    assert acceptance is not None
    found = speculate(placed, Speculation(acceptance, 4, 0.1))
    assert 1 / found.drafted_s.value == pytest.approx(1.5 * plain, rel=1e-6)
    assert needed_acceptance(placed, 0.9 * plain, speculation) == 0
    assert needed_acceptance(placed, 100 * plain, speculation) is None


@given(low=st.floats(0, 1), high=st.floats(0, 1), drafted=st.integers(0, 16))
def test_more_acceptance_never_keeps_less(low: float, high: float, drafted: int) -> None:
    low, high = sorted((low, high))
    assert 1 <= Speculation(low, drafted).kept <= Speculation(high, drafted).kept <= drafted + 1


@pytest.mark.parametrize(
    "change",
    [{"acceptance": -0.1}, {"acceptance": 1.1}, {"draft_share": 2.0}, {"drafted": -1}, {"drafted": 17}],
    ids=str,
)
def test_settings_out_of_range_are_refused_with_the_numbers(change: dict[str, float]) -> None:
    (name, value) = next(iter(change.items()))
    with pytest.raises(InvalidParams, match=rf"{name} is {value}; allowed: .*0 to"):
        Speculation(**change)  # type: ignore[arg-type]
