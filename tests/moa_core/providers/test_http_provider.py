"""The HTTP provider against a real server process: the protocol, its liberties, and its faults."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing

import pytest

from moa_core import errors
from moa_core.providers import CallRequest, OpenAICompatible
from moa_core.providers.deadline import Timeouts
from moa_core.providers.limiter import Limiters
from moa_core.providers.retry import RetryPolicy
from moa_core.providers.server_address import deprecation_notice

QUICK = Timeouts(first_token_s=0.3, between_tokens_s=0.3)


def ask(model, text="hi", **settings):
    return CallRequest(model, ({"role": "user", "content": text},), **settings)


async def collect(provider, request):
    return [delta async for delta in provider.stream(request)]


def text_of(deltas):
    return "".join(delta.text for delta in deltas)


async def test_text_comes_in_pieces_with_usage_and_times(cloud):
    deltas = await collect(cloud(), ask("say:one two three"))

    assert [delta.text for delta in deltas if delta.text] == ["one", " two", " three"]
    finish = deltas[-1].finish
    assert finish.reason == "stop"
    assert (finish.usage.prompt_tokens, finish.usage.cached_tokens, finish.usage.completion_tokens) == (
        11,
        5,
        7,
    )
    assert finish.usage.reasoning_tokens == 2
    assert finish.raw["time_info"]["total_time"] == 0.006
    assert finish.raw["usage"]["prompt_tokens"] == 11


async def test_request_carries_parameters_and_key(cloud, server):
    await collect(cloud(), ask("echo", temperature=0.3, top_p=0.5, max_tokens=77, seed=5, stop=("END",)))

    (entry,) = server.requests("echo")
    body = entry["body"]
    assert entry["key"] == "Bearer key-1234567890"
    assert body["messages"] == [{"role": "user", "content": "hi"}]
    assert (body["temperature"], body["top_p"], body["max_tokens"], body["seed"]) == (0.3, 0.5, 77, 5)
    assert body["stop"] == ["END"]
    assert body["stream"] is True
    assert body["stream_options"] == {"include_usage": True}


async def test_without_a_key_no_authorization_is_sent(cloud, server):
    await collect(cloud(api_key=None), ask("echo"))

    assert server.requests("echo")[0]["key"] == ""


async def test_models_are_listed_live(cloud):
    assert await cloud().models() == ["echo", "say:hello", "think"]


async def test_context_that_the_list_tells_is_known(cloud):
    provider = cloud()
    await provider.models()

    assert (await provider.context("echo")).n_ctx == 4096
    assert (await provider.context("other")).n_ctx is None


async def test_stream_cut_into_single_bytes_with_every_liberty_is_read(cloud):
    assert text_of(await collect(cloud(), ask("bytes"))) == "héllo wörld 🙂"


async def test_reply_that_is_no_stream_is_read(cloud):
    deltas = await collect(cloud(), ask("document"))

    assert text_of(deltas) == "whole"
    assert deltas[-1].finish.usage.completion_tokens == 1


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
async def test_reasoning_fields_are_kept_apart(cloud, name):
    deltas = await collect(cloud(), ask(f"field:{name}"))

    assert "".join(delta.reasoning for delta in deltas) == "let me see"
    assert text_of(deltas) == "four"


@pytest.mark.parametrize(
    ("model", "kind", "words"),
    [
        ("status:401", errors.WrongKey, "refuses the key"),
        ("status:403", errors.WrongKey, "refuses the key"),
        ("status:404", errors.ModelNotFound, "does not know 'status:404'"),
        ("status:400", errors.RequestRefused, "refused with 400"),
        ("status:408", errors.ServerFailed, "refused with 408"),
        ("status:429", errors.RateLimited, "too many requests"),
        ("status:500", errors.ServerFailed, "refused with 500"),
        ("status:503", errors.ServerFailed, "refused with 503"),
        ("status:302", errors.RequestRefused, "redirects"),
        ("html", errors.ServerFailed, "failed (502)"),
        ("context", errors.ContextExceeded, "maximum context length"),
        ("page", errors.MalformedAnswer, "the right address?"),
        ("hang", errors.TimedOut, "no first token within 0.3 s"),
        ("keep-alive", errors.TimedOut, "no first token within 0.3 s"),
        ("hang-after:2", errors.TimedOut, "no next token within 0.3 s"),
        ("drop:2", errors.IncompleteAnswer, "incomplete"),
        ("early:2", errors.IncompleteAnswer, "ended early"),
        ("garbage", errors.MalformedAnswer, "no JSON"),
        ("error:2", errors.ServerFailed, "the model crashed"),
    ],
)
async def test_fault_becomes_its_own_error(cloud, model, kind, words):
    provider = cloud(timeouts=QUICK) if kind is errors.TimedOut else cloud()

    with pytest.raises(kind) as caught:
        await collect(provider, ask(model))

    assert type(caught.value) is kind
    assert words in str(caught.value)
    assert "<html" not in str(caught.value)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
async def test_passing_status_is_tried_again(cloud, server, status):
    deltas = await collect(cloud(), ask(f"flaky:{status}:2"))

    assert text_of(deltas) == "recovered"
    assert len(server.requests(f"flaky:{status}:2")) == 3
    assert [delta.wait.attempts for delta in deltas if delta.wait and "again" in delta.wait.reason] == [1, 2]


@pytest.mark.parametrize("model", ["status:400", "status:401", "status:404", "context", "garbage"])
async def test_final_fault_is_not_tried_again(cloud, server, model):
    with pytest.raises(errors.CallFailed):
        await collect(cloud(), ask(model))

    assert len(server.requests(model)) == 1


async def test_slow_first_token_is_not_waited_for_twice(cloud, server):
    with pytest.raises(errors.TimedOut):
        await collect(cloud(timeouts=QUICK), ask("hang"))

    assert len(server.requests("hang")) == 1


@pytest.mark.parametrize("model", ["drop:2", "early:2", "error:2"])
async def test_nothing_is_sent_again_after_the_first_token(cloud, server, model):
    with pytest.raises(errors.CallFailed):
        await collect(cloud(), ask(model))

    assert len(server.requests(model)) == 1


async def test_connection_that_breaks_before_the_first_token_is_tried_again(cloud, server):
    with pytest.raises(errors.ConnectFailed):
        await collect(cloud(), ask("drop:0"))

    assert len(server.requests("drop:0")) == 3


async def test_refused_connection_says_what_to_check(unused_port):
    provider = OpenAICompatible(f"http://127.0.0.1:{unused_port}", retry=RetryPolicy(attempts=2, base_s=0.01))

    with pytest.raises(errors.ConnectFailed, match="check the network and the address"):
        await collect(provider, ask("m"))


async def test_retry_after_is_honoured(cloud, server):
    began = time.monotonic()
    deltas = await collect(cloud(), ask("wait:429:1"))

    assert time.monotonic() - began >= 1.0
    assert text_of(deltas) == "recovered"


async def test_server_that_asks_to_wait_too_long_gets_no_second_request(cloud, server):
    with pytest.raises(errors.RateLimited) as caught:
        await collect(cloud(), ask("wait:429:3600"))

    assert caught.value.retry_after_s == 3600
    assert len(server.requests("wait:429:3600")) == 1


async def test_exhausted_allowance_makes_the_next_call_wait(cloud):
    provider = cloud()
    await collect(provider, ask("limits:0.4s"))

    began = time.monotonic()
    deltas = await collect(provider, ask("limits:0.4s"))

    assert time.monotonic() - began >= 0.3
    assert 0.3 <= deltas[0].wait.wait_s <= 0.5


async def test_class_on_one_key_queues_instead_of_failing(cloud, server):
    limiters = Limiters()
    sessions = [cloud(limiters=limiters, retry=RetryPolicy(attempts=5, base_s=0.02)) for _ in range(8)]

    calls = [collect(session, ask("limited:3")) for session in sessions for _ in range(5)]
    results = await asyncio.gather(*calls)

    assert [text_of(deltas) for deltas in results] == ["done"] * 40


async def test_closing_the_stream_closes_the_connection(cloud, server):
    async with aclosing(cloud().stream(ask("endless"))) as deltas:
        async for delta in deltas:
            if delta.text:
                break

    await _until(lambda: server.requests("endless")[0]["left"])


async def test_calls_of_one_session_share_connections(cloud, server):
    async with cloud() as provider:
        for _ in range(5):
            await collect(provider, ask("echo"))

    assert len({entry["connection"] for entry in server.requests("echo")}) == 1


@pytest.mark.parametrize("first_leaves_first", [True, False])
def test_leaving_closes_the_connections_of_the_own_event_loop_only(cloud, server, first_leaves_first):
    """Two threads, each with a loop of its own, enter the same provider one after the other."""
    provider = cloud()
    first_in, second_in, one_left = threading.Event(), threading.Event(), threading.Event()

    async def visit(inside, leaves_first):
        async with provider:
            inside.set()
            if leaves_first:
                await asyncio.to_thread(second_in.wait, 20)
                return None
            await asyncio.to_thread(one_left.wait, 20)
            return text_of(await collect(provider, ask("say:still here")))

    with ThreadPoolExecutor() as pool:
        first = pool.submit(asyncio.run, visit(first_in, first_leaves_first))
        first_in.wait(20)
        second = pool.submit(asyncio.run, visit(second_in, not first_leaves_first))
        leaving, staying = (first, second) if first_leaves_first else (second, first)
        leaving.result(20)
        one_left.set()
        assert staying.result(20) == "still here"


async def test_field_that_a_server_refuses_by_name_is_left_out(cloud, server):
    deltas = await collect(cloud(), ask("no-schema", response_schema={"type": "object"}))

    assert text_of(deltas) == '{"n": 1}'
    first, second = server.requests("no-schema")
    assert first["body"]["response_format"]["json_schema"]["schema"] == {"type": "object"}
    assert "response_format" not in second["body"]


async def test_wrong_key_is_refused_when_listing_models(cloud):
    with pytest.raises(errors.WrongKey, match="Check the API key"):
        await cloud(api_key="wrong").models()


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("http://host:1", "http://host:1/v1"),
        ("http://host:1/", "http://host:1/v1"),
        ("https://host/openai/v1/", "https://host/openai/v1"),
        (" https://host/v1/chat/completions ", "https://host/v1"),
    ],
)
def test_address_is_completed(given, used):
    assert OpenAICompatible(given).base_url == used


@pytest.mark.parametrize("address", ["", "host:80", "ftp://host", "http://", "http://[::1"])
def test_address_that_is_none_is_refused(address):
    with pytest.raises(errors.ConfigError, match="base_url"):
        OpenAICompatible(address)


@pytest.mark.parametrize("key", ["with space", "ümlaut", "line\nbreak"])
def test_impossible_key_is_refused_without_repeating_it(key):
    with pytest.raises(errors.ConfigError) as caught:
        OpenAICompatible("http://host", key)

    assert key not in str(caught.value)


def test_provider_survives_one_event_loop_after_another(cloud):
    provider = cloud()

    answers = [text_of(asyncio.run(collect(provider, ask("echo", word)))) for word in ("a", "b")]

    assert answers == ["a", "b"]


async def test_timeouts_have_their_own_phase(cloud):
    provider = cloud(timeouts=Timeouts(first_token_s=60.0, between_tokens_s=0.1))

    with pytest.raises(errors.TimedOut) as caught:
        await collect(provider, ask("hang-after:1"))

    assert (caught.value.phase, caught.value.timeout_s) == ("next token", 0.1)


async def _until(condition):
    async with asyncio.timeout(10):
        while not await asyncio.to_thread(condition):
            await asyncio.sleep(0.01)


def test_an_address_with_a_password_is_refused_without_showing_it():
    with pytest.raises(errors.ConfigError) as caught:
        OpenAICompatible("https://me:hunter2@host/v1")

    assert "give the key as api_key" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("headers", "notice"),
    [
        ({}, None),
        ({"deprecation": "@1788220800"}, "m: the server announces its end (deprecation 2026-09-01)"),
        ({"deprecation": "true"}, "m: the server announces its end (deprecation true)"),
        ({"deprecation": "@999999999999"}, "m: the server announces its end (deprecation @999999999999)"),
        ({"sunset": " "}, None),
    ],
)
def test_an_announced_end_is_read_however_it_is_written(headers, notice):
    assert deprecation_notice("m", headers) == notice


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("https://api.cerebras.ai/v1", "cerebras"),
        ("https://openrouter.ai/api/v1", "openrouter"),
        ("http://127.0.0.1:8080", "127.0.0.1:8080"),
        ("http://localhost:11434/v1", "localhost:11434"),
        ("http://[::1]:8000", "::1:8000"),
    ],
)
def test_a_server_is_called_by_its_own_name(address, name):
    assert OpenAICompatible(address).name == name
