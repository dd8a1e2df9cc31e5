"""No fault spoils a run: real faults of a real server, in whole runs."""

import asyncio

import pytest

from moa_core import AgentFailed, AgentWaiting, RunFailed, run
from moa_core.providers.deadline import Timeouts
from moa_core.providers.retry import RetryPolicy

FAULTS = {
    "401": ("status:401", "refuses the key"),
    "404 model": ("status:404", "does not know"),
    "429 for good": ("status:429", "too many requests"),
    "500": ("status:500", "refused with 500"),
    "no first token": ("hang", "no first token"),
    "no next token": ("hang-after:2", "no next token"),
    "dropped mid-stream": ("drop:2", "incomplete"),
    "ended early": ("early:2", "ended early"),
    "malformed JSON": ("garbage", "no JSON"),
    "error object mid-stream": ("error:2", "the model crashed"),
    "empty answer": ("empty", "the answer is empty"),
    "HTML page": ("html", "failed (502)"),
}


@pytest.fixture
def provider(cloud):
    quick = RetryPolicy(attempts=2, base_s=0.01)
    return cloud(timeouts=Timeouts(first_token_s=1.0, between_tokens_s=1.0), retry=quick)


@pytest.mark.parametrize(("model", "words"), FAULTS.values(), ids=FAULTS)
def test_one_failing_agent_is_left_out_and_noted(play, moa, provider, server, model, words):
    events = play(moa(["say:good", model], summarizer="echo"), "what?", provider)

    (failed,) = [event for event in events if isinstance(event, AgentFailed)]
    assert words in failed.message
    assert events[-1].answer == "what?"
    assert any("a2" in note and words in note for note in events[-1].notes)
    (request,) = server.requests("echo")
    system = request["body"]["messages"][0]["content"]
    assert "1. good" in system
    assert "2." not in system
    assert "part0" not in system
    assert failed.message not in system


def test_all_agents_failing_stops_with_every_reason(play, moa, provider, server):
    last = play(moa(["status:401", "drop:2"], ["echo"], summarizer="echo"), "hi", provider)[-1]

    assert isinstance(last, RunFailed)
    assert "refuses the key" in last.reasons["a1"]
    assert "incomplete" in last.reasons["a2"]
    assert all(reason in last.message for reason in last.reasons.values())
    assert server.requests("echo") == []


def test_partial_answer_of_a_failed_summarizer_is_not_the_answer(play, moa, provider):
    last = play(moa(["say:one"], summarizer="drop:2"), "hi", provider)[-1]

    assert last.answer == "one"


def test_waiting_is_told_while_it_lasts(play, moa, provider):
    events = play(moa(["flaky:503:1"], summarizer="say:s"), "hi", provider)

    (waiting,) = [event for event in events if isinstance(event, AgentWaiting)]
    assert waiting.agent == "a1"
    assert "refused with 503" in waiting.reason
    assert waiting.wait_s > 0


async def test_closing_a_run_closes_every_connection(moa, cloud, server):
    before = asyncio.all_tasks()
    events = run(moa(["endless", "hang", "say:x"]), "hi", cloud())
    async for event in events:
        if type(event).__name__ == "AgentDelta" and event.agent == "a1":
            break
    await events.aclose()

    assert asyncio.all_tasks() == before
    async with asyncio.timeout(10):
        while not all(entry["left"] for m in ("endless", "hang") for entry in server.requests(m)):
            await asyncio.sleep(0.02)
    assert len(server.requests("endless")) == len(server.requests("hang")) == 1
