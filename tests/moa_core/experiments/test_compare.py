"""Configurations against each other on the same seeds."""

import pytest

from moa_core.errors import ExperimentError
from moa_core.experiments import compare
from moa_core.experiments.compare import single_of


def test_the_better_one_is_named(alone, scripted, scorer):
    provider = scripted({"weak": "score 10", "strong": "score 40"})
    configs = [alone("weak", name="Weak"), alone("strong", name="Strong")]

    found = compare(configs, "task", provider, scorer, seeds=8).result()

    assert found.words == "Strong is better than Weak by 30 points, sure to 99.2 %."
    assert [each.median for each in found.spreads] == [10, 40]
    assert found.to_dict()["differences"][0]["pairs"] == 8


def test_both_get_the_same_seeds(alone, scripted, scorer):
    provider = scripted({"a": "score 1", "b": "score 1"})
    compare([alone("a"), alone("b")], "task", provider, scorer, seeds=3).result()
    seeds = {model: [r.seed for r in provider.history if r.model == model] for model in ("a", "b")}
    assert sorted(seeds["a"]) == sorted(seeds["b"])


def test_only_seeds_that_both_finished_are_paired(alone, scripted, scorer):
    provider = scripted({"a": ["score 1", "no score at all", "score 3"], "b": "score 5"})
    found = compare([alone("a"), alone("b")], "task", provider, scorer, seeds=3).result()
    assert found.differences[0].n == 2


def test_three_are_compared_pair_by_pair(alone, scripted, scorer):
    provider = scripted({"a": "score 1", "b": "score 2", "c": "score 3"})
    found = compare([alone(model) for model in "abc"], "task", provider, scorer, seeds=1).result()
    assert [(each.first, each.second) for each in found.differences] == [("A", "B"), ("A", "C"), ("B", "C")]


def test_equal_names_are_told_apart(alone, scripted, scorer):
    configs = [alone("a", name="Same"), alone("b", name="Same")]
    found = compare(configs, "task", scripted({"a": "score 1", "b": "score 2"}), scorer, seeds=1).result()
    assert [each.label for each in found.spreads] == ["Same (A)", "Same (B)"]


def test_one_configuration_is_no_comparison(alone, scripted, scorer):
    with pytest.raises(ExperimentError, match="at least two"):
        compare([alone()], "task", scripted({"sum": "x"}), scorer)


def test_the_single_counterpart_asks_only_the_summarizer(layered, scripted, scorer):
    provider = scripted({"a": "x", "sum": "score 1"})
    config = single_of(layered("a"))
    compare([config, layered("a")], "task", provider, scorer, seeds=1).result()
    assert [request.model for request in provider.history].count("a") == 1
