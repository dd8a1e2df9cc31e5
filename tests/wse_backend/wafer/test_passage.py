"""The way of a token over a wafer: every region once, in order, in the pipeline's own times."""

from __future__ import annotations

from itertools import pairwise

import pytest

from wse_backend.errors import InvalidParams
from wse_backend.wafer.economics import Pipeline, pipeline
from wse_backend.wafer.passage import passage
from wse_backend.wafer.placement import Placement, place
from wse_backend.wafer.spec import WSE3


@pytest.fixture(scope="module")
def placed() -> Placement:
    return place("llama3.1-70b", WSE3)


@pytest.fixture(scope="module")
def found(placed: Placement) -> Pipeline:
    return pipeline(placed)


@pytest.mark.parametrize("phase", ["decode", "prefill"])
def test_all_wafers_together_take_as_long_as_the_pipeline(
    placed: Placement, found: Pipeline, phase: str
) -> None:
    ways = [passage(placed, found, phase, wafer) for wafer in range(placed.wafers)]
    whole = found.token_s if phase == "decode" else found.prefill_s
    assert sum(way[-1].end_s for way in ways) == pytest.approx(whole)
    assert [layer for way in ways for step in way for layer in step.region.layers] == list(range(80))


def test_steps_follow_one_another(placed: Placement, found: Pipeline) -> None:
    steps = passage(placed, found, "decode", 1)
    assert steps[0].start_s == 0
    assert all(before.end_s == after.start_s for before, after in pairwise(steps))
    assert {step.region.wafer for step in steps} == {1}


@pytest.mark.parametrize(("phase", "wafer"), [("training", 0), ("decode", 4), ("decode", -1)])
def test_no_such_way_is_refused(placed: Placement, found: Pipeline, phase: str, wafer: int) -> None:
    with pytest.raises(InvalidParams):
        passage(placed, found, phase, wafer)
