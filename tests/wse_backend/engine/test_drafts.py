"""Prompt lookup: what is drafted, how sure it is, and when computing it pays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wse_backend.engine.drafts import (
    LONGEST_MATCH,
    MATCHES,
    PLACES_KEPT,
    AcceptanceRates,
    Drafter,
    PassCost,
    PromptLookup,
    Text,
    choose_drafts,
    last_chances,
)

TEXTS = st.lists(st.integers(0, 3), min_size=1, max_size=60)  # four tokens: repetitions everywhere


def match(tokens: list[int], place: int) -> int:
    length = 0
    while length < min(LONGEST_MATCH, place) and tokens[place - 1 - length] == tokens[-1 - length]:
        length += 1
    return length


@given(tokens=TEXTS, cuts=st.lists(st.integers(1, 60), max_size=4))
def test_the_draft_follows_the_longest_match_among_the_latest_places(
    tokens: list[int], cuts: list[int]
) -> None:
    """However the text grew in between, and whatever was drafted on the way."""
    growing = tokens[: min(cuts, default=1)]
    lookup = PromptLookup(growing)
    for stop in [*sorted(cuts), len(tokens)]:
        growing.extend(tokens[len(growing) : stop])
        lookup.draft(3)
    drafted = lookup.draft(5)
    places = [p for p in range(MATCHES[0], len(tokens)) if match(tokens, p) >= MATCHES[0]]
    latest = places[-PLACES_KEPT:]
    assert lookup.n_matched == max((match(tokens, p) for p in latest), default=0)
    assert len(drafted) == (5 if latest else 0)
    if drafted:
        best = max(p for p in latest if match(tokens, p) == lookup.n_matched)
        whole = tokens + drafted  # a draft may go on in itself, as a text that goes round in circles does
        assert drafted == whole[best : best + 5]


def test_a_text_that_goes_round_in_circles_is_drafted_on() -> None:
    lookup = PromptLookup([7, 1, 2, 3, 1, 2, 3])
    assert lookup.draft(7) == [1, 2, 3, 1, 2, 3, 1]
    assert lookup.n_matched == 3


def test_nothing_is_drafted_for_what_was_never_said() -> None:
    for tokens in ([1], [1, 2], [1, 2, 3, 4, 5]):
        assert PromptLookup(tokens).draft(4) == []


def test_chances_fall_along_a_draft_and_rise_with_the_match() -> None:
    rates = AcceptanceRates()
    short, long = rates.chances(2, 6), rates.chances(20, 6)
    assert short == sorted(short, reverse=True)
    assert all(0 < a < b < 1 for a, b in zip(short, long, strict=True))


def test_rates_are_learned_and_the_past_is_forgotten() -> None:
    rates = AcceptanceRates()
    for _ in range(500):
        rates.learn(2, is_hit=False)
    assert rates.chances(2, 1)[0] < 0.01
    assert rates.chances(3, 1)[0] > 0.5  # another length of match is another matter
    for _ in range(500):
        rates.learn(2, is_hit=True)
    assert rates.chances(2, 1)[0] > 0.98


def cost(fixed: float, per_row: float, rows: range = range(1, 17)) -> PassCost:
    found = PassCost(16)
    for n in rows:
        found.learn(n, fixed + n * per_row)
    return found


def test_the_cost_of_a_row_is_learned_in_spite_of_a_bad_measurement() -> None:
    assert PassCost(16).line() == (0.0, 0.0)
    assert cost(8.0, 2.0).line() == pytest.approx((8.0, 2.0))
    disturbed = cost(8.0, 2.0, range(1, 7))
    disturbed.learn(7, 100.0)
    assert disturbed.line() == pytest.approx((8.0, 2.0), rel=0.05)


def test_a_single_measurement_is_enough_to_begin_with() -> None:
    fixed, per_row = cost(8.0, 2.0, range(1, 2)).line()
    assert fixed + per_row == pytest.approx(10.0)
    assert 0 < per_row < fixed


def test_a_draft_is_computed_where_it_saves_more_than_it_costs() -> None:
    sure, doubtful = [0.95, 0.9, 0.85], [0.15, 0.1, 0.05]
    assert choose_drafts([sure], [1.0], 16, cost(8.0, 2.0)) == [3]
    assert choose_drafts([doubtful], [1.0], 16, cost(8.0, 2.0)) == [0]
    # where a row costs nearly as much as a pass, only what is certain would pay
    assert choose_drafts([sure], [1.0], 16, cost(0.1, 2.0)) == [0]
    assert choose_drafts([sure], [1.0], 16, PassCost(16)) == [0]  # before anything was measured


def test_drafts_go_to_the_text_that_ends_last() -> None:
    chances = [[0.6, 0.5], [0.6, 0.5]]
    assert choose_drafts(chances, last_chances([100, 20]), 16, cost(8.0, 2.0)) == [2, 0]
    assert last_chances([5, 5]) == [0.5, 0.5]


def test_the_drafter_stops_before_an_end_and_shares_between_owners() -> None:
    drafter = Drafter(16, stop_ids={9})
    for n in range(1, 17):
        drafter.cost.learn(n, 8.0 + 2.0 * n)
    circle = [1, 2, 3, 4, 5, 6, 7, 8] * 3
    assert drafter.choose([Text(PromptLookup([1, 2, 9, *circle, 1, 2]), 3, "ann")]) == [[3, 4, 5]]
    assert drafter.choose([Text(PromptLookup([5, 1, 2, 3, 9, 4, 5, 1, 2]), 8, "ann")]) == [[3]]
    alike = [Text(PromptLookup(list(circle)), 3, owner) for owner in ("ann", "ann", "bob")]
    longest = alike[0]._replace(room=30)
    counts = [len(draft) for draft in drafter.choose([longest, *alike[1:]])]
    assert counts[0] > counts[1]  # of ann's texts the one that ends last
    assert counts[2] > 0  # and bob has his share


@given(
    chances=st.lists(st.lists(st.floats(0, 1), max_size=15), min_size=1, max_size=16),
    fixed=st.floats(0, 10),
    per_row=st.floats(0.01, 10),
)
def test_a_pass_never_has_more_rows_than_it_may(
    chances: list[list[float]], fixed: float, per_row: float
) -> None:
    falling = [sorted(text, reverse=True) for text in chances]
    counts = choose_drafts(falling, last_chances([1] * len(chances)), 16, cost(fixed, per_row))
    assert len(chances) + sum(counts) <= 16
    assert all(0 <= n <= len(text) for n, text in zip(counts, falling, strict=True))
