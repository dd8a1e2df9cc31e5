"""What is missed when a part is left out, and that nothing is asked twice."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moa_core.errors import ExperimentError
from moa_core.experiments import ablate, spread
from moa_core.experiments.similarity import code_tokens, likeness
from moa_core.providers import Delta, Finish, TokenUsage


class Adding:
    """Its summarizer's score is 10 for each helper that says "good", its agents say what they are called."""

    name = "adding"

    def __init__(self):
        self.asked = []

    async def models(self):
        return ["good", "bad", "sum"]

    async def stream(self, request):
        self.asked.append((request.model, request.messages, request.seed))
        prompt = request.messages[0]["content"]
        text = f"score {10 * prompt.count('good')}" if request.model == "sum" else f"{request.model} 3"
        yield Delta(text=text, finish=Finish(usage=TokenUsage(10, 2)))

    def calls_of(self, *models):
        return [call for call in self.asked if call[0] in models]


def parts(found):
    return {each.part.name: each.gain for each in found.contributions}


def test_the_part_that_helps_is_told_from_the_one_that_does_not(layered, scorer):
    found = ablate(layered("good", "bad"), "task", Adding(), scorer, seeds=8).result()

    gains = parts(found)
    assert found.whole.median == 10
    assert (gains["Agent 1"].mean, gains["Agent 2"].mean) == (10, 0)
    assert gains["Agent 1"].words == "the whole is better than without Agent 1 by 10 points, sure to 99.2 %."
    assert "the summarizer's instruction" in gains


def test_unchanged_answers_are_reused_and_nothing_is_asked_twice(layered, scorer):
    provider = Adding()
    found = ablate(layered("good", "bad", "good"), "task", provider, scorer, seeds=2).result()

    assert len(provider.calls_of("good", "bad")) == 3 * 2  # the whole's own; no variant asks an agent again
    assert len(provider.asked) == len({repr(call) for call in provider.asked})
    reused = {
        each.part.name: [trial.n_reused for trial in each.without.trials] for each in found.contributions
    }
    assert reused == {
        "Agent 1": [2, 2],
        "Agent 2": [2, 2],
        "Agent 3": [2, 2],
        "the summarizer's instruction": [3, 3],
    }


def test_later_layers_are_asked_anew_where_they_see_a_change(layered, scorer):
    provider = Adding()
    ablate(layered("good", "bad", n_layers=2), "task", provider, scorer, seeds=1).result()
    # 4 in the whole; 2 more in layer 2 without either agent of layer 1, and without layer 1 itself
    assert len(provider.calls_of("good", "bad")) == 4 + 2 + 2 + 2


def test_the_whole_is_what_a_spread_of_the_same_seed_is(layered, scorer):
    alone, together = Adding(), Adding()
    spread(layered("good", "bad"), "task", alone, scorer, seeds=1).result()
    ablate(layered("good", "bad"), "task", together, scorer, seeds=1).result()
    assert sorted(map(repr, alone.asked)) == sorted(map(repr, together.asked[: len(alone.asked)]))


def test_the_best_single_agent_is_scored_from_answers_that_are_there(layered, scripted, scorer):
    provider = scripted({"a": "says 7", "b": "says 70", "sum": "score 50"})
    found = ablate(layered("a", "b"), "task", provider, scorer, seeds=2).result()
    assert found.best_single.name == "Agent 2"
    assert found.best_single.gain.mean == -20
    assert found.to_dict()["best_single"] == "Agent 2"


def test_redundant_agents_are_seen(layered, scripted, scorer):
    answers = {"a": "x = 1 1", "b": "x = 1 1", "c": "return sorted(users) 2", "sum": "score 50"}
    found = ablate(layered("a", "b", "c"), "task", scripted(answers), scorer, seeds=1).result()
    matrix = dict(zip(found.names, found.likeness, strict=True))
    assert matrix["Agent 1"][1] == 1.0
    assert matrix["Agent 1"][2] < 0.5


def test_cycles_are_layers_of_their_own(layered, scorer):
    from dataclasses import replace

    config = replace(layered("good", "bad"), cycles=2)
    found = ablate(config, "task", Adding(), scorer, seeds=1).result()
    assert "Agent 1, layer 2" in parts(found)
    assert "layer 1" in parts(found)


def test_nothing_to_leave_out_is_said(alone, scripted, scorer):
    with pytest.raises(ExperimentError, match="nothing to leave out"):
        ablate(alone(), "task", scripted({"sum": "x"}), scorer)


def test_only_code_counts_for_likeness():
    first = "Sure!\n```python\nx = 1  # one\n```\nHope it helps."
    second = "Here you are:\n~~~\nx = 1\n~~~"
    assert code_tokens(first) == ["x", "=", "1"]
    assert likeness(first, second) == 1.0


@given(st.text(max_size=60), st.text(max_size=60))
def test_likeness_is_a_share_and_full_for_the_same_text(first, second):
    assert 0.0 <= likeness(first, second) <= 1.0
    assert likeness(first, first) == 1.0


def test_likeness_matrix_is_symmetric_with_ones(layered, scripted, scorer):
    found = ablate(layered("a", "b"), "task", scripted({"a": "1 2", "b": "2 3", "sum": "score 5"}), scorer, 2)
    matrix = found.result().likeness
    assert np.array_equal(matrix, matrix.T)
    assert math.isclose(matrix.diagonal().sum(), len(matrix))
