"""What a picker says of a model, and which server is asked for it."""

from __future__ import annotations

import pytest

from moa_core.providers.model_info import ModelInfo, TokenPrice
from pages.state.model_choice import dollars, model_note, model_words, server_choices, server_of


def test_a_label_says_context_price_and_thinking() -> None:
    info = ModelInfo("m", 131072, 40960, TokenPrice(0.35e-6, 0.75e-6, 0.1e-6), reasons=True)
    (choice,) = server_choices("cerebras", "Cerebras cloud", {"m": info})
    assert choice.label == ("m (reasons, 131k context, $0.35 in / $0.75 out per M, Cerebras cloud)")
    assert model_note("vLLM", ModelInfo("m")) == "vLLM"
    assert model_note("x", ModelInfo("m", 1_048_576, price=TokenPrice(0, 0, 0))) == "1M context, free, x"
    assert choice.details == (
        "Cerebras cloud · reasons before it answers · 131k tokens of context · "
        "$0.35 in and $0.75 out per million tokens"
    )


@pytest.mark.parametrize(
    ("amount", "shown"),
    [(None, "–"), (0, "$0.00"), (1.234, "$1.23"), (0.00234, "$0.0023"), (0.00002, "below $0.0001")],
)
def test_small_costs_keep_the_digits_that_count(amount: float | None, shown: str) -> None:
    assert dollars(amount) == shown


def test_the_first_server_that_lists_a_model_is_asked() -> None:
    lists = {"a": ["m1"], "b": ["m1", "m2"], "c": []}
    assert [server_of(model, lists) for model in ("m1", "m2", "m3")] == ["a", "b", "a"]
    assert server_of("m1", {}) is None


def test_a_known_model_says_what_it_is_good_for_and_how_fast_it_was() -> None:
    said = model_words("smollm2-135m", {"smollm2-135m": 44.6})
    assert said.startswith("135 million parameters · the default")
    assert said.endswith("45 tokens a second in your runs")
    assert model_words("a-stranger", {}) == ""
