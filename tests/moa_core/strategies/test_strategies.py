"""The strategies: how many calls, who sees what, who wins."""

import json
from dataclasses import replace

import pytest

from moa_core import Agent, LayerStarted, MoAConfig, RunFailed, RunFinished, SummaryDelta
from moa_core.errors import ConfigError, ServerFailed
from moa_core.strategies import Strategy, all_strategies, find_strategy, registry


def verdict(score, critique="more"):
    return json.dumps({"score": score, "critique": critique})


def scores(*values):
    return json.dumps({"scores": values})


def config(strategy, **settings):
    roles = {role: Agent(role, role) for role in ("planner", "critic", "sampler", "judge")}
    return MoAConfig(summarizer=Agent("s", "sum"), strategy=strategy, roles=roles, **settings)


def asked(provider, model):
    return [request for request in provider.history if request.model == model]


def test_the_strategies_are_found_by_name():
    names = ["best-of-n", "layered", "propose-critique-refine", "propose-test-repair", "single"]
    assert list(all_strategies()) == names
    assert find_strategy("Best_of_n") is all_strategies()["best-of-n"]


def test_single_asks_the_summarizer_alone(play, moa, scripted):
    provider = scripted({"m": "x", "sum": "alone"})

    assert play(moa(["m"], strategy="single"), "hi", provider)[-1].answer == "alone"
    assert [request.model for request in provider.history] == ["sum"]


def test_a_strategy_may_answer_without_a_model(play, scripted, monkeypatch):
    async def answer(run):
        return "42"

    known = {"oracle": Strategy(name="oracle", description="Knows.", answer=answer)}
    monkeypatch.setattr(registry, "all_strategies", lambda: known)
    provider = scripted({})

    last = play(config("oracle"), "hi", provider)[-1]

    assert (last.answer, provider.history) == ("42", [])


def test_best_of_n_answers_with_the_highest_score(play, scripted):
    provider = scripted({"sampler": ["one", "two", "three"], "judge": scores(1, 9, 3)})

    events = play(config("best-of-n", options={"n": 3}), "hi", provider)

    assert events[-1].answer == "two"
    assert "".join(event.text for event in events if isinstance(event, SummaryDelta)) == "two"
    assert len(provider.history) == 4
    assert "1. one\n\n2. two\n\n3. three" in asked(provider, "judge")[0].messages[-1]["content"]
    assert any("sampler 2 was chosen of 3 samples" in note for note in events[-1].notes)


def test_best_of_n_breaks_ties_by_the_earliest(play, scripted):
    provider = scripted({"sampler": ["one", "two", "three"], "judge": scores(4, 7, 7)})

    assert play(config("best-of-n", options={"n": 3}), "hi", provider)[-1].answer == "two"


def test_best_of_n_judges_only_the_samples_that_came(play, scripted):
    provider = scripted({"sampler": ["one", ServerFailed("x"), "three"], "judge": scores(1, 2)})

    last = play(config("best-of-n", options={"n": 3}), "hi", provider)[-1]

    assert last.answer == "three"
    assert "1. one\n\n2. three" in asked(provider, "judge")[0].messages[-1]["content"]


@pytest.mark.parametrize(
    "answer", [ServerFailed("down"), "nonsense", scores()], ids=["down", "no JSON", "too few"]
)
def test_best_of_n_without_a_verdict_takes_the_first_and_says_so(play, scripted, answer):
    provider = scripted({"sampler": ["one", "two"], "judge": answer})

    last = play(config("best-of-n", options={"n": 2}), "hi", provider)[-1]

    assert last.answer == "one"
    assert any("no verdict" in note for note in last.notes)


def test_best_of_one_needs_no_judge(play, scripted):
    provider = scripted({"sampler": "one"})

    assert play(config("best-of-n", options={"n": 1}), "hi", provider)[-1].answer == "one"


def test_samples_of_one_agent_have_different_seeds(play, scripted):
    provider = scripted({"sampler": "x", "judge": scores(1, 1, 1)})

    play(config("best-of-n", options={"n": 3}, seed=1), "hi", provider)

    assert len({request.seed for request in asked(provider, "sampler")}) == 3


def test_documented_example_makes_33_calls(play, scripted):
    provider = scripted({"planner": "plan", "critic": verdict(5), "sum": "done"})

    events = play(config("propose-critique-refine"), "hi", provider)

    assert len(provider.history) == 33
    assert [len(event.agents) for event in events if isinstance(event, LayerStarted)] == [8, 8, 8, 8]
    assert len(events[-1].trace.calls) == 33


def test_best_candidates_by_their_last_score_are_merged(play, scripted):
    verdicts = [verdict(9), verdict(1), verdict(1), verdict(1), verdict(8), verdict(8)]
    provider = scripted({"planner": ["p1", "p2", "p3", "r1", "r2", "r3"], "critic": verdicts, "sum": "done"})
    options = {"n": 3, "rounds": 2, "best": 2}

    last = play(config("propose-critique-refine", options=options), "hi", provider)[-1]

    assert "1. r2\n\n2. r3" in provider.systems("sum")[0]
    assert "r1" not in provider.systems("sum")[0]
    assert any("planner 2 (score 8), planner 3 (score 8)" in note for note in last.notes)


def test_planner_revises_its_own_candidate_with_the_critique(play, scripted):
    critics = [verdict(3, "too short"), verdict(3, "too long"), verdict(4), verdict(4)]
    provider = scripted({"planner": ["p1", "p2", "r1", "r2"], "critic": critics, "sum": "done"})

    play(config("propose-critique-refine", options={"n": 2, "rounds": 2, "best": 1}), "hi", provider)

    first = asked(provider, "planner")[2].messages
    assert first[-2] == {"role": "assistant", "content": "p1"}
    assert "too short" in first[-1]["content"]
    assert "too long" not in str(first)


def test_failed_critic_and_failed_revision_keep_the_candidate(play, scripted):
    planner = ["p1", "p2", "p3", ServerFailed("x"), "r3"]
    critic = [verdict(5), ServerFailed("y"), verdict(4), verdict(6), verdict(2), verdict(1)]
    provider = scripted({"planner": planner, "critic": critic, "sum": "done"})

    play(config("propose-critique-refine", options={"n": 3, "rounds": 2, "best": 3}), "hi", provider)

    assert "1. p1\n\n2. p2\n\n3. r3" in provider.systems("sum")[0]


def test_round_of_revisions_that_fails_whole_stops_the_run(play, scripted):
    planner = ["p1", "p2", ServerFailed("x")]
    provider = scripted({"planner": planner, "critic": verdict(5), "sum": "done"})

    last = play(config("propose-critique-refine", options={"n": 2, "rounds": 2}), "hi", provider)[-1]

    assert isinstance(last, RunFailed)
    assert last.reasons == {"planner 1": "x", "planner 2": "x"}


def test_candidate_that_nobody_judged_comes_last(play, scripted):
    provider = scripted({"planner": ["p1", "p2"], "critic": [ServerFailed("y"), verdict(0)], "sum": "done"})

    last = play(config("propose-critique-refine", options={"n": 2, "rounds": 1, "best": 2}), "hi", provider)[
        -1
    ]

    assert isinstance(last, RunFinished)
    assert "1. p2\n\n2. p1" in provider.systems("sum")[0]


def test_agents_of_the_first_layer_play_the_roles_that_nobody_has(play, moa, scripted):
    provider = scripted({"m1": "one", "m2": "two", "sum": [scores(1, 2, 3)]})

    play(moa(["m1", "m2"], strategy="best-of-n", options={"n": 3}), "hi", provider)

    assert [request.model for request in provider.history] == ["m1", "m2", "m1", "sum"]


@pytest.mark.parametrize("value", [0, 65, 1.5, "4", True])
def test_option_out_of_range_is_refused(play, scripted, value):
    with pytest.raises(ConfigError, match=r"options\.n: is .*; allowed: whole numbers from 1 to 64"):
        play(config("best-of-n", options={"n": value}), "hi", scripted({"sampler": "x"}))


def test_option_that_the_strategy_does_not_know_is_reported(play, scripted):
    events = play(config("best-of-n", options={"n": 1, "m": 2}), "hi", scripted({"sampler": "x"}))

    assert events[0].notes == ("option 'm' means nothing to best-of-n",)


def test_braces_in_candidates_are_left_alone(play, scripted):
    tricky = "{n} {answers} {critique} {helper_response}"
    provider = scripted({"sampler": [tricky, "two"], "judge": scores(9, 1)})

    last = play(replace(config("best-of-n"), options={"n": 2}), tricky, provider)[-1]

    assert last.answer == tricky
    assert f"1. {tricky}\n\n2. two" in asked(provider, "judge")[0].messages[-1]["content"]
