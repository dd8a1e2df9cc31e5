"""Medians, intervals and paired differences, against hand counts."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moa_core.experiments.statistics import difference, median_interval, sign_flip_p

scores = st.lists(st.floats(0, 120, allow_nan=False).map(lambda x: round(x, 2)), min_size=2, max_size=12)


@given(scores)
def test_the_interval_lies_within_the_scores_and_around_the_median(values):
    low, high = median_interval(values)
    assert min(values) <= low <= np.median(values) <= high <= max(values)


def test_one_score_has_no_interval():
    assert median_interval([5.0]) is None


def test_the_interval_covers_as_often_as_it_says():
    draws = np.random.default_rng(7)
    samples = [median_interval(draws.normal(50, 10, 16)) for _ in range(200)]
    covered = sum(low <= 50 <= high for low, high in samples)
    assert covered >= 180  # 95 % nominal; the percentile bootstrap of a median is a little off at 16


@pytest.mark.parametrize(
    ("gaps", "p"),
    [
        ([1, 1, 1, 1, 1, 1], 2 / 64),  # only all plus and all minus are as far out
        ([1, -1], 1.0),
        ([0, 0, 0], 1.0),
        ([3, 1], 2 / 4),
        ([3, -1], 1.0),  # means of the four patterns: 1, 2, -2, -1, and 1 was seen
    ],
)
def test_sign_flips_are_counted(gaps, p):
    assert math.isclose(sign_flip_p(np.array(gaps, float)), p)


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=9))
def test_turning_the_comparison_around_changes_only_the_sign(gaps):
    pairs = [(0.0, gap) for gap in gaps]
    there = difference("A", "B", pairs)
    back = difference("B", "A", [(b, a) for a, b in pairs])
    assert math.isclose(there.sure, back.sure)
    assert math.isclose(there.mean, -back.mean, abs_tol=1e-9)


def test_a_clear_difference_is_said_with_who_is_better():
    told = difference("A", "B", [(10.0, 22.0 + n % 3) for n in range(8)])
    assert told.words == "B is better than A by 12.9 points, sure to 99.2 %."  # 1 - 2/256, rounded down
    turned = difference("B", "A", [(22.0 + n % 3, 10.0) for n in range(8)])
    assert turned.words.startswith("B is better than A by 12.9 points")


def test_an_unclear_difference_says_how_many_more_seeds():
    unclear = difference("A", "B", [(10.0, 14.0), (10.0, 9.0), (10.0, 13.0), (10.0, 10.0)])
    # mean 1.5, sd 2.38: ((1.96 + 0.84) * 2.38 / 1.5)^2 = 19.8, so 20 pairs, 16 more than there are
    assert unclear.words == "A and B cannot be told apart on 4 seeds; about 16 more seeds would."


def test_equal_scores_are_not_promised_to_part():
    assert difference("A", "B", [(5.0, 5.0)] * 4).more_seeds is None


def test_no_common_seed_is_said():
    assert "no seed in common" in difference("A", "B", []).words
