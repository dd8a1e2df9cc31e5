"""A run made to its end: what it keeps, how it is made again, and that its faults are words."""

from dataclasses import replace

import pytest

from moa_core import MoAConfig
from moa_core.errors import ServerFailed
from moa_core.runs.finished import run_to_end, with_seed

QUESTION = [{"role": "user", "content": "hi"}]


def test_provenance_makes_the_same_requests_again(moa, scripted):
    provider = scripted({"a": "one two", "sum": "three"})
    made = run_to_end(with_seed(moa(["a"])), QUESTION, provider)
    kept = made.provenance()
    again = scripted({"a": "one two", "sum": "three"})

    run_to_end(replace(MoAConfig.from_json(kept["config"]), seed=kept["seed"]), list(kept["messages"]), again)

    assert again.history == provider.history
    assert (kept["reply"], kept["tokens"], kept["prompt_tokens"], kept["n_calls"]) == ("three", 3, 2, 2)
    assert (kept["models"], kept["backend"], kept["cost_usd"]) == (("a", "sum"), "scripted", None)


def test_a_seed_of_its_own_stays(moa):
    assert with_seed(moa(seed=7)).seed == 7
    assert with_seed(moa()).seed != with_seed(moa()).seed


@pytest.mark.parametrize(
    ("answer", "should_stop", "problem"),
    [
        (ServerFailed("the server is down"), None, "the server is down"),
        ("fine", lambda: True, "stopped before it ended"),
    ],
    ids=["failed", "stopped"],
)
def test_a_run_without_a_reply_says_why(moa, scripted, answer, should_stop, problem):
    made = run_to_end(moa(), QUESTION, scripted({"sum": answer}), None, should_stop)
    assert made.reply == ""
    assert problem in made.problem
