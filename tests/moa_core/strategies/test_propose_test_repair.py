"""Propose, test, repair: what is tried, what goes back, who wins."""

import pytest

from moa_core import Agent, Checked, MoAConfig, run_sync
from moa_core.errors import ConfigError, ServerFailed


def config(**options):
    roles = {"coder": Agent("Coder", "coder", "You code.")}
    return MoAConfig(
        summarizer=Agent("s", "sum"), strategy="propose-test-repair", roles=roles, options=options
    )


def play(configuration, provider, checker):
    return list(run_sync(configuration, "task", provider, checker))[-1]


def by_length(text):
    """Four letters pass everything."""
    return Checked(min(1.0, len(text) / 4), f"{text} is too short")


def test_what_failed_goes_back_to_its_agent(scripted):
    provider = scripted({"coder": ["ab", "abcd"]})

    finished = play(config(n=1, rounds=1), provider, by_length)

    assert finished.answer == "abcd"
    said = [message["content"] for message in provider.history[1].messages]
    assert said[:3] == ["You code.", "task", "ab"]
    assert "ab is too short" in said[3]


def test_the_trace_tells_every_answer_that_was_tried(scripted):
    finished = play(config(n=1, rounds=1), scripted({"coder": ["ab", "abcd"]}), by_length)

    tried = [(check.layer, check.text, check.share) for check in finished.trace.checks]
    assert tried == [(1, "ab", 0.5), (2, "abcd", 1.0)]
    assert finished.trace.to_dict()["checks"][0]["feedback"] == "ab is too short"


def test_repairs_stop_when_one_passes_everything(scripted):
    provider = scripted({"coder": ["a", "abcd", "ab"]})

    assert play(config(n=3, rounds=5), provider, by_length).answer == "abcd"
    assert len(provider.history) == 3


def test_a_worse_repair_is_dropped(scripted):
    provider = scripted({"coder": ["abc", "a"]})

    assert play(config(n=1, rounds=1), provider, by_length).answer == "abc"


def test_only_the_best_are_repaired_where_a_number_is_given(scripted):
    provider = scripted({"coder": ["a", "abc", "ab", "abcd"]})

    finished = play(config(n=3, rounds=1, repaired=1), provider, by_length)

    assert finished.answer == "abcd"
    assert [message["content"] for message in provider.history[3].messages][2] == "abc"


def test_failed_repairs_keep_the_candidates(scripted):
    provider = scripted({"coder": ["abc", ServerFailed("down")]})

    finished = play(config(n=1, rounds=1), provider, by_length)

    assert finished.answer == "abc"
    assert any("No repair came" in note for note in finished.notes)


def test_a_checker_that_raises_is_said_and_the_answer_stays(scripted):
    def broken(text):
        raise OSError("no sandbox here")

    finished = play(config(n=2, rounds=2), scripted({"coder": ["one", "two"]}), broken)

    assert finished.answer == "one"
    assert any("no sandbox here" in note for note in finished.notes)


def test_without_a_checker_the_run_is_refused(scripted):
    with pytest.raises(ConfigError, match="tries its answers"):
        list(run_sync(config(), "task", scripted({"coder": "x"})))


def test_the_plan_counts_every_repair_and_what_it_is_told(scripted):
    from moa_core.runs.plan import plan_sync

    planned = plan_sync(config(n=2, rounds=3), "task", scripted({"coder": "x"}))

    assert len(planned.calls) == 8
    assert planned.calls[2].prompt_tokens > planned.calls[0].prompt_tokens + 400
