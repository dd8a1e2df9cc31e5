"""What happens with a key: whole runs against a server that behaves as Cerebras' API does."""

import pytest

from moa_core import Agent, AgentFailed, AgentWaiting, MoAConfig, RunFinished, run_sync
from moa_core.providers import OpenAICompatible
from moa_core.providers.limiter import Limiters
from moa_core.providers.retry import RetryPolicy
from moa_core.runs.plan import plan_sync

OSS, GEMMA = "gpt-oss-120b", "gemma-4-31b"


@pytest.fixture
def provider(cerebras):
    retry = RetryPolicy(attempts=4, base_s=0.01)
    return OpenAICompatible(cerebras.address, "csk-1", "cerebras", retry=retry, limiters=Limiters())


def ask(provider, question="hi", **settings):
    settings = {"model": OSS, "max_tokens": 256} | settings
    return list(run_sync(MoAConfig(summarizer=Agent("s", **settings)), question, provider))


@pytest.mark.parametrize("model", [OSS, GEMMA])
def test_the_first_run_with_defaults_succeeds_on_every_listed_model(provider, model):
    events = list(run_sync(MoAConfig.default(model), "Why is the sky blue?", provider))

    assert isinstance(events[-1], RunFinished)
    assert events[-1].answer == f"the answer of {model}"
    assert not [event for event in events if isinstance(event, AgentFailed)]
    assert [call.attempts for call in events[-1].trace.calls] == [1] * 7


def test_everything_the_service_says_is_in_the_trace(provider):
    (call,) = ask(provider)[-1].trace.calls

    assert (call.prompt_tokens, call.cached_tokens, call.completion_tokens) == (100, 40, 605)
    assert call.reasoning_tokens == 600
    assert (call.queue_s, call.prompt_s, call.completion_s) == (0.25, 0.02, 0.5)
    # 60 new prompt tokens, 40 from the cache at a quarter, 605 written: by the price list of the test server
    assert call.cost_usd == pytest.approx(60 * 0.35e-6 + 40 * 0.0875e-6 + 605 * 0.75e-6)
    assert ask(provider)[-1].trace.cost_usd == pytest.approx(call.cost_usd)


def test_the_plan_shows_room_for_thinking_and_the_most_it_can_cost(provider):
    config = MoAConfig(summarizer=Agent("s", OSS, max_tokens=200, reasoning_effort="low"))

    (call,) = plan_sync(config, "hi", provider).calls

    assert (call.max_tokens, call.thinking_tokens, call.n_ctx) == (200, 512, 131072)
    assert call.cost_usd == pytest.approx(call.prompt_tokens * 0.35e-6 + 712 * 0.75e-6)


def test_the_limit_of_an_agent_is_what_it_may_answer(provider, cerebras):
    ask(provider, max_tokens=200, reasoning_effort="high")

    (request,) = cerebras.requests(OSS)
    assert (request["body"]["max_tokens"], request["body"]["reasoning_effort"]) == (200 + 8192, "high")


def test_thinking_that_eats_the_limit_is_asked_again_with_less(provider, cerebras):
    events = ask(provider, max_tokens=100, thinking_budget=100_000, reasoning_effort="high")
    assert events[-1].trace.calls[0].attempts == 1  # room enough

    events = ask(provider, max_tokens=100, thinking_budget=None, reasoning_effort=None, question="x")
    assert events[-1].trace.calls[0].attempts == 1

    provider._infos.clear()  # as with a server that says nothing of its models
    last = ask(provider, max_tokens=100, question="y")[-1]
    (call,) = last.trace.calls
    assert (last.answer, call.attempts) == (f"the answer of {OSS}", 2)
    assert any("asked again with the effort low" in note for note in last.notes)
    bodies = [entry["body"] for entry in cerebras.requests(OSS)][-2:]
    assert "reasoning_effort" not in bodies[0]
    assert (bodies[0]["max_tokens"], bodies[1]["reasoning_effort"]) == (100, "low")
    assert bodies[1]["max_tokens"] > 2000
    assert call.completion_tokens == 100 + 65


def test_a_refused_effort_is_dropped_with_a_note_and_remembered(provider, cerebras):
    last = ask(provider, model=GEMMA, reasoning_effort="low")[-1]
    ask(provider, model=GEMMA, reasoning_effort="low")

    assert last.answer == f"the answer of {GEMMA}"
    assert any("refuses reasoning_effort low; asked without it" in note for note in last.notes)
    sent = ["reasoning_effort" in entry["body"] for entry in cerebras.requests(GEMMA)]
    assert sent == [True, False, False]


def test_whoever_asks_later_hears_of_a_refused_effort_too(provider):
    ask(provider, model=GEMMA, reasoning_effort="low")

    assert any(
        "refuses reasoning_effort low" in note
        for note in ask(provider, model=GEMMA, reasoning_effort="low")[-1].notes
    )
    assert ask(provider, model=GEMMA)[-1].notes == ()


def test_a_refused_value_of_the_effort_takes_no_other_value_with_it(provider, cerebras):
    last = ask(provider, reasoning_effort="none")[-1]
    ask(provider, reasoning_effort="high")

    assert last.answer == f"the answer of {OSS}"
    assert any("refuses reasoning_effort none; asked with low" in note for note in last.notes)
    sent = [entry["body"].get("reasoning_effort") for entry in cerebras.requests(OSS)]
    assert sent == ["none", "low", "high"]


def test_a_retired_name_gets_a_proposal_of_its_size(provider):
    old = {"main_model": "llama-3.3-70b", "layer_agents": [{"name": "a", "model_name": "qwen-3-32b"}]}
    config = MoAConfig.from_json(old)
    available = list(plan_sync(config, "hi", provider).calls) and [OSS, GEMMA, "qwen2.5-coder-0.5b"]

    found = {each.model: each.replacement for each in config.suggest_models(available)}

    assert found == {"llama-3.3-70b": OSS, "qwen-3-32b": GEMMA}
    assert any("was retired by Cerebras on 2026-02-16" in note for note in config.notes)
    last = list(run_sync(config.with_models(found), "hi", provider))[-1]
    assert isinstance(last, RunFinished)
    failed = ask(provider, model="llama-3.3-70b")[-1]
    assert "cerebras does not know 'llama-3.3-70b' (404)" in failed.message


def test_the_minutes_limit_is_waited_for(provider):
    events = ask(provider, question="429-minute:1")

    assert events[-1].answer == f"the answer of {OSS}"
    (waiting,) = [event for event in events if isinstance(event, AgentWaiting)]
    assert "Tokens per minute limit exceeded" in waiting.reason
    assert waiting.wait_s >= 0.2


def test_the_days_limit_ends_the_call_at_once_and_says_which(provider, cerebras):
    first = ask(provider, question="429-day:9")[-1]
    second = ask(provider, question="anything")[-1]

    assert "asks to wait 11 h" in first.message
    assert "allowance of requests of the day is used up for another 11 h" in second.message
    assert len(cerebras.requests(OSS)) == 1


@pytest.mark.parametrize("failure", ["503-queue", "429-queue"])
def test_a_full_queue_of_the_service_is_waited_out_and_not_the_keys_fault(provider, failure):
    events = ask(provider, question=f"{failure}:2")

    assert events[-1].answer == f"the answer of {OSS}"
    assert events[-1].trace.calls[0].attempts == 3
    waits = [event.reason for event in events if isinstance(event, AgentWaiting)]
    assert all("too busy to queue more requests" in reason for reason in waits)
    assert provider._limiter(OSS)._max_in_flight == float("inf")


def test_a_stream_that_is_cut_in_the_middle_is_no_answer(provider):
    last = ask(provider, question="cut:1")[-1]

    assert "incomplete" in last.message
    assert last.trace.calls[0].text == "half of the ans"


def test_a_structured_answer_of_a_reasoning_model_is_valid(provider):
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}

    assert ask(provider, response_schema=schema)[-1].answer == '{"n": 7}'


def test_the_host_sees_what_is_left_and_what_ends(provider):
    ask(provider, model=GEMMA)

    left = {each.label: (each.left, each.limit) for each in provider.allowances(GEMMA)}
    assert all(0 < each.reset_s <= 39_601 for each in provider.allowances(GEMMA))
    assert left["requests of the day"] == (14399, 14400)
    assert provider.notices[GEMMA] == (
        "gemma-4-31b: the server announces its end "
        "(deprecation 2026-09-01, sunset Sat, 31 Oct 2026 00:00:00 GMT)"
    )


def test_the_hosts_wishes_are_sent(cerebras):
    provider = OpenAICompatible(cerebras.address, service_tier="flex", prompt_cache_key="class-7")

    ask(provider)

    (request,) = cerebras.requests(OSS)
    assert (request["body"]["service_tier"], request["body"]["prompt_cache_key"]) == ("flex", "class-7")
    assert provider.name.startswith("127.0.0.1:")
