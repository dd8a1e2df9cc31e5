"""The search: what it proposes, how it spends its budget, what it keeps, and how the winner is told."""

import json
from importlib import import_module

import pytest

from moa_core import Agent, MoAConfig
from moa_core.errors import ConfigError, ExperimentError, OtherStudy, ServerFailed
from moa_core.experiments import Budget, Score, Space, search
from moa_core.experiments.rewriting import failures_in
from moa_core.experiments.search import FIRST_FRESH_SEED
from moa_core.experiments.space import FRAGMENTS
from moa_core.providers.model_info import TokenPrice

SPACE = Space(models=("weak", "strong"), temperatures=(0.2, 0.9))
ANSWERS = {"weak": "score 10", "strong": "much longer score 80"}


def run(base, provider, scorer, budget="200 calls", space=SPACE, **settings):
    return search(base, "task", provider, scorer, budget, space=space, **settings)


def test_the_best_setup_is_found_and_confirmed_on_seeds_it_never_saw(alone, scripted, scorer):
    found = run(alone("weak"), scripted(ANSWERS), scorer).result()

    assert found.winner.choice["model"] == "strong"
    assert found.confirmed.median == 80
    fresh = {trial.seed for trial in found.confirmed.trials}
    searched = {trial.seed for each in found.spreads[1:] for trial in each.trials}
    assert len(fresh) == 16
    assert min(fresh) == FIRST_FRESH_SEED
    assert not fresh & searched
    assert found.words.startswith("The best of 4 setups is #")
    assert "on 16 fresh seeds" in found.words


def test_the_pareto_front_keeps_what_is_cheaper(alone, scripted, scorer):
    found = run(alone("weak"), scripted(ANSWERS), scorer).result()
    front = {(each.choice["model"], each.score) for each in found.candidates if each.is_front}
    assert front == {("weak", 10), ("strong", 80)}


def test_better_proposals_get_more_seeds(alone, scripted, scorer):
    found = run(alone("weak"), scripted(ANSWERS), scorer).result()
    seeds = {label: len(scores) for label, scores in ((c.label, c.scores) for c in found.candidates)}
    assert sorted(seeds.values(), reverse=True)[0] == 4
    assert min(seeds.values()) == 1


def test_the_budget_holds_for_search_and_confirmation(alone, scripted, scorer):
    provider = scripted(ANSWERS)
    found = run(alone("weak"), provider, scorer, "30 calls", confirm=8).result()
    assert len(provider.history) <= 30
    assert found.spent.calls == len(provider.history)
    assert len(found.confirmed.trials) >= 2


@pytest.mark.parametrize(
    "budget", ["0 calls", "0 minutes", "-1 dollars", "", "many", "10", "1.2.3 calls", "5 calls later"]
)
def test_a_senseless_budget_is_refused(alone, scripted, scorer, budget):
    with pytest.raises(ExperimentError, match="budget"):
        run(alone(), scripted({"sum": "x"}), scorer, budget)


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("400 calls", Budget(calls=400)),
        ("1.5 minutes", Budget(minutes=1.5)),
        ("2 dollars", Budget(dollars=2.0)),
        ("90 calls, 3 min", Budget(calls=90, minutes=3.0)),
    ],
)
def test_budgets_are_read(text, budget):
    assert Budget.from_text(text) == budget


def test_dollars_need_a_price(alone, scripted, scorer):
    running = run(alone("weak"), scripted(ANSWERS), scorer, "1 dollars")
    with pytest.raises(ExperimentError, match="no known price"):
        running.result()
    prices = {model: TokenPrice.per_million(1.0, 1.0) for model in ANSWERS}
    found = run(alone("weak"), scripted(ANSWERS), scorer, "1 dollars", prices=prices, confirm=2).result()
    assert 0 < found.spent.dollars < 1


@pytest.mark.parametrize("space", [Space(), Space(models=("weak",)), Space(models=("weak", "weak"))])
def test_a_space_with_one_point_is_refused(alone, scripted, scorer, space):
    with pytest.raises(ExperimentError, match="only one setup"):
        run(alone(), scripted({"sum": "x"}), scorer, space=space)


def test_an_impossible_value_is_refused_before_the_first_call(alone, scripted, scorer):
    provider = scripted(ANSWERS)
    with pytest.raises(ConfigError, match="temperature"):
        run(alone(), provider, scorer, space=Space(temperatures=(0.5, 9.0)))
    assert provider.history == []


def test_a_stopped_search_goes_on_where_it_was(alone, scripted, scorer, tmp_path):
    place = tmp_path / "lab.sqlite"
    first = run(alone("weak"), scripted(ANSWERS), scorer, "200 calls", storage=place, confirm=2)
    for _ in range(9):  # 4 + 2 + 2 tries of the first batch, and one after it
        next(first)
    first.close()

    provider = scripted(ANSWERS)
    found = run(alone("weak"), provider, scorer, "200 calls", storage=place, confirm=2).result()

    assert found.n_resumed >= 3
    assert len(found.candidates) == 4
    assert found.winner.choice["model"] == "strong"
    again = run(alone("weak"), scripted(ANSWERS), scorer, "200 calls", storage=place, confirm=2).result()
    assert again.n_resumed == 4
    assert [len(each.trials) for each in again.spreads] == [2]  # only the confirmation is made again


def test_a_search_goes_on_in_postgresql(alone, scripted, scorer, postgres):
    postgres.query("CREATE DATABASE lab")
    place = postgres.url_of("lab")
    first = run(alone("weak"), scripted(ANSWERS), scorer, "200 calls", storage=place, confirm=2)
    for _ in range(9):
        next(first)
    first.close()

    found = run(alone("weak"), scripted(ANSWERS), scorer, "200 calls", storage=place, confirm=2).result()

    assert found.n_resumed >= 3
    assert found.winner.choice["model"] == "strong"


def test_another_question_is_not_mixed_into_a_study(alone, scripted, scorer, tmp_path):
    place = tmp_path / "lab.sqlite"
    run(alone("weak"), scripted(ANSWERS), scorer, "60 calls", storage=place, confirm=2).result()
    with pytest.raises(OtherStudy, match="another name"):
        search(alone("weak"), "other", scripted(ANSWERS), scorer, "60 calls", space=SPACE, storage=place)


def test_a_study_of_another_version_is_refused(alone, scripted, scorer, tmp_path, monkeypatch):
    place = tmp_path / "lab.sqlite"
    run(alone("weak"), scripted(ANSWERS), scorer, "60 calls", storage=place, confirm=2).result()
    monkeypatch.setattr(import_module("moa_core.experiments.search"), "FORMAT", 99)
    with pytest.raises(OtherStudy, match="another version"):
        run(alone("weak"), scripted(ANSWERS), scorer, "60 calls", storage=place, confirm=2).result()


def test_a_setup_that_always_fails_is_no_winner(alone, scripted, scorer):
    answers = {"weak": "score 10", "strong": ServerFailed("down")}
    found = run(alone("weak"), scripted(answers), scorer, confirm=2).result()
    assert found.winner.choice["model"] == "weak"
    none = run(alone("weak"), scripted({"weak": "no", "strong": "no"}), scorer, confirm=2).result()
    assert none.winner is None
    assert "None of the 4 setups got a score" in none.words


def test_prompts_are_rewritten_after_reading_what_failed(alone, scripted):
    def picky(reply):
        good = "careful" in reply
        return Score(90.0 if good else 5.0, 100.0, {"feedback": "" if good else "it crashed on None"})

    class Obedient(scripted):
        """Answers with the prompt that it was given."""

        async def stream(self, request):
            self._answers[request.model] = [request.messages[0]["content"]]
            if "improve the system prompts" in request.messages[0]["content"]:
                self._answers[request.model] = ["Be careful with None."]
            async for delta in super().stream(request):
                yield delta

    provider = Obedient({"sum": "x"})
    base = MoAConfig(summarizer=Agent("S", "sum", "Write code."), strategy="single")
    space = Space(temperatures=(0.1, 0.9), rewrites=1, rewriter="sum")
    found = search(base, "task", provider, picky, "200 calls", space=space, confirm=2).result()

    assert found.winner.config.summarizer.prompt == "Be careful with None."
    assert found.confirmed.median == 90


def test_a_space_changes_what_it_says_and_nothing_else(layered):
    base = layered("a", "b")
    name = next(iter(FRAGMENTS))
    space = Space(agents=(2, 3), cycles=(1, 2), fragments={name: FRAGMENTS[name]}, models=("m", "n"))
    made = space.configured(base, {"agents": 3, "cycles": 2, "model": "n", f"fragment: {name}": True})
    assert [agent.name for agent in made.layers[0].agents] == ["Agent 1", "Agent 2", "Agent 1 2"]
    assert made.cycles == 2
    assert set(made.models) == {"n"}
    assert all(FRAGMENTS[name] in agent.prompt for agent in made.layers[0].agents)
    assert made.summarizer.prompt == base.summarizer.prompt
    assert space.configured(base, {}).layers == base.layers


def test_what_fails_most_is_told_first():
    report = {
        "report": {"checks": [{"name": "a", "message": "no", "passed": False}, {"name": "b", "passed": True}]}
    }
    other = {"checks": [{"name": "c", "message": "bad", "passed": False}]}
    assert failures_in([other, report, report]) == ["a: no", "c: bad"]


def test_the_result_is_plain_data(alone, scripted, scorer):
    found = run(alone("weak"), scripted(ANSWERS), scorer, confirm=2).result()
    data = json.loads(json.dumps(found.to_dict()))
    assert data["winner"]["config"]["summarizer"]["model"] == "strong"
    assert len(data["candidates"]) == 4
