"""A configuration over seeds: trials stream, figures follow, faults stay where they are."""

import asyncio
import threading

import pytest

from moa_core import MoAConfig
from moa_core.errors import ExperimentError, InvalidMessages, ServerFailed
from moa_core.experiments import Score, Trial, spread
from moa_core.providers.model_info import TokenPrice


def test_every_seed_is_tried_once_and_the_figures_follow(alone, scripted, scorer):
    provider = scripted({"sum": ["score 10", "score 30", "score 20"]})

    found = spread(alone(), "task", provider, scorer, seeds=3).result()

    assert [trial.seed for trial in found.trials] == [1, 2, 3]
    assert sorted(found.values) == [10, 20, 30]
    assert (found.median, found.maximum, found.n_failed) == (20, 120, 0)
    assert found.share_above(20) == pytest.approx(2 / 3)
    assert found.completion_tokens == 2
    assert {request.seed for request in provider.history} != {None}


def test_seeds_reach_the_calls_and_differ(alone, scripted, scorer):
    provider = scripted({"sum": "score 1"})
    spread(alone(), "task", provider, scorer, seeds=[7, 8]).result()
    first = {request.seed for request in provider.history}
    again = scripted({"sum": "score 1"})
    spread(alone(), "task", again, scorer, seeds=[8, 7]).result()
    assert len(first) == 2
    assert {request.seed for request in again.history} == first


def test_a_wave_begins_together(alone, scripted, scorer):
    class Counting(scripted):
        """Waits until eight calls are there, so that it would hang if they came one by one."""

        gathered = threading.Barrier(8, timeout=20)

        async def stream(self, request):
            await asyncio.to_thread(self.gathered.wait)
            async for delta in super().stream(request):
                yield delta

    found = spread(alone(), "task", Counting({"sum": "score 5"}), scorer, seeds=8).result()
    assert found.values == (5.0,) * 8


def test_trials_stream_before_the_result(alone, scripted, scorer):
    running = spread(alone(), "task", scripted({"sum": "score 5"}), scorer, seeds=20)
    first = next(running)
    assert first.value == 5.0
    running.close()
    with pytest.raises(ExperimentError, match="stopped before"):
        running.result()


def test_it_stops_when_the_interval_is_narrow_enough(alone, scripted, scorer):
    found = spread(alone(), "task", scripted({"sum": "score 5"}), scorer, seeds=40, narrow=10).result()
    assert found.stopped_early
    assert len(found.trials) == 8


def test_a_scorer_that_raises_costs_only_its_trial(alone, scripted):
    def picky(reply):
        if reply.endswith("bad"):
            raise KeyError("no score here")
        return Score(1.0, 1.0)

    provider = scripted({"sum": ["fine", "bad", "fine"]})
    found = spread(alone(), "task", provider, picky, seeds=3).result()
    (failed,) = [trial for trial in found.trials if trial.score is None]
    assert failed.problem == "the scorer raised KeyError: 'no score here'"
    assert failed.reply == "bad"
    assert found.values == (1.0, 1.0)


@pytest.mark.parametrize("given", ["many", None, float("nan"), True, 10**400])
def test_a_score_that_is_no_number_is_said(alone, scripted, given):
    found = spread(alone(), "task", scripted({"sum": "x"}), lambda reply: given, seeds=1).result()
    assert "a score has a finite number" in found.trials[0].problem


def test_an_agent_that_fails_is_left_out_and_a_provider_away_is_said(layered, alone, scripted, scorer):
    provider = scripted({"a": "good", "b": ServerFailed("b is down"), "sum": "score 9"})
    found = spread(layered("a", "b"), "task", provider, scorer, seeds=1).result()
    assert found.values == (9.0,)
    assert any("b is down" in note for note in found.trials[0].trace.notes)

    away = spread(alone(), "task", scripted({"sum": ServerFailed("nobody home")}), scorer, seeds=2).result()
    assert (away.median, away.n_failed) == (None, 2)
    assert "nobody home" in away.trials[0].problem


@pytest.mark.parametrize("seeds", [0, -1, [], [1, 1], True])
def test_senseless_seeds_are_refused(alone, scripted, scorer, seeds):
    with pytest.raises(ExperimentError):
        spread(alone(), "task", scripted({"sum": "x"}), scorer, seeds=seeds)


def test_no_question_is_refused_at_once(alone, scripted, scorer):
    with pytest.raises(InvalidMessages):
        spread(alone(), " ", scripted({"sum": "x"}), scorer)


def test_dollars_come_from_prices_and_are_unknown_without(alone, scripted, scorer):
    provider = scripted({"sum": "score 5"})
    prices = {"sum": TokenPrice.per_million(prompt=1e6, completion=2e6)}
    assert spread(alone(), "task", provider, scorer, 1, prices=prices).result().dollars == 1 + 2 * 2
    assert spread(alone(), "task", provider, scorer, 1).result().dollars is None


def test_a_trial_survives_being_stored(layered, scripted, scorer):
    provider = scripted({"a": "x", "sum": "score 9"})
    trial = spread(layered("a"), "task", provider, scorer, seeds=[3]).result().trials[0]
    again = Trial.from_dict(trial.to_dict())
    assert again == trial
    assert isinstance(again.config, MoAConfig)
    assert again.trace.calls[0].text == "x"


def test_what_is_no_trial_is_refused(alone):
    with pytest.raises(ExperimentError, match="no stored trial"):
        Trial.from_dict({"label": "x"})
