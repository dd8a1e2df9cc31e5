"""A server that behaves as Cerebras' API did in 2026, by its SDK 1.91 (types/) and its documentation.

Run as a process of its own, as openai_server.py; `GET /history` is the same. Two models are listed:

gpt-oss-120b   reasons: 60 tokens at low, 600 at medium (its default), 3,000 at high; none is refused
gemma-4-31b    answers at once; refuses reasoning_effort; announces its end in its headers

Every other model is a 404, the key "wrong" a 401. Words in the last message make a request fail, the number
of times given after them ("429-minute:1"): 429-minute, 429-day, 429-queue, 503-queue, cut (the stream breaks
in the middle).
A model's answer is "the answer of MODEL"; with a response_format it is `{"n": 7}`.
"""

import asyncio
import contextlib
import json
import re
import sys
from collections.abc import AsyncIterator
from typing import Any

from openai_server import Broken, Refusal, Server, Writer, reply

THINKING = {"low": 60, "medium": 600, "high": 3000}
FAILURES = re.compile(r"(429-minute|429-day|429-queue|503-queue|cut):(\d+)")
PRICES = {
    "gpt-oss-120b": ("0.00000035", "0.00000075", "0.0000000875"),
    "gemma-4-31b": ("0.0000004", "0.0000008", None),
}
END = {"deprecation": "@1788220800", "sunset": "Sat, 31 Oct 2026 00:00:00 GMT"}


def model_card(name: str) -> dict[str, Any]:
    """An entry of the list in OpenRouter's format."""
    prompt, completion, cached = PRICES[name]
    pricing = {"prompt": prompt, "completion": completion, "request": "0", "image": "0"}
    features = ["tools", "structured_outputs", "json_mode"]
    return {
        "id": f"cerebras/{name}",
        "name": name,
        "created": 1754438400,
        "context_length": 131072,
        "max_output_length": 40960,
        "pricing": pricing if cached is None else {**pricing, "input_cache_read": cached},
        "supported_features": [*features, "reasoning"] if name == "gpt-oss-120b" else features,
    }


def limits(left_day: int, left_minute: int) -> dict[str, str]:
    """The allowances of requests of the day and tokens of the minute."""
    return {
        "x-ratelimit-limit-requests-day": "14400",
        "x-ratelimit-remaining-requests-day": str(left_day),
        "x-ratelimit-reset-requests-day": "39600.5",
        "x-ratelimit-limit-tokens-minute": "60000",
        "x-ratelimit-remaining-tokens-minute": str(left_minute),
        "x-ratelimit-reset-tokens-minute": "0.2",
    }


def error(message: str, kind: str, param: str, code: str) -> str:
    return json.dumps({"message": message, "type": kind, "param": param, "code": code})


class CloudServer(Server):
    """Lists two models, and refuses as the service does."""

    async def answer(self, method: str, path: str, *rest: Any) -> None:
        writer: Writer = rest[-1]
        if rest[0].get("authorization") == "Bearer wrong":
            text = error("Wrong API Key", "invalid_request_error", "api_key", "wrong_api_key")
            return await reply(writer, 401, json.loads(text))
        if path == "/v1/models":
            data = [{"id": name, "object": "model", "created": 0, "owned_by": "Cerebras"} for name in PRICES]
            return await reply(writer, 200, {"object": "list", "data": data})
        if path == "/v1/models?format=openrouter":
            return await reply(writer, 200, {"data": [model_card(name) for name in PRICES]})
        return await super().answer(method, path, *rest)

    async def behave(self, request: dict[str, Any], entry: dict[str, Any]) -> AsyncIterator[Any]:
        model, asked = request["model"], request["messages"][-1]["content"]
        if model not in PRICES:
            message = f"Model {model} does not exist or you do not have access to it."
            raise Refusal(404, error(message, "not_found_error", "model", "model_not_found"))
        for word, times in FAILURES.findall(asked):
            self.calls[word + asked] += 1
            if self.calls[word + asked] <= int(times):
                if word == "cut":
                    yield chunk(model, {"content": "half of the ans"})
                    await asyncio.sleep(0.05)
                    raise Broken
                refuse(word)
        effort = request.get("reasoning_effort")
        if effort is not None and (model != "gpt-oss-120b" or effort not in THINKING):
            message = f"reasoning_effort: {effort!r} is not supported by {model}"
            raise Refusal(
                400, error(message, "invalid_request_error", "reasoning_effort", "wrong_api_format")
            )
        headers = limits(14399, 59000) | (END if model == "gemma-4-31b" else {})
        yield {"headers": headers}
        thinking = THINKING[effort or "medium"] if model == "gpt-oss-120b" else 0
        room = request.get("max_completion_tokens", request.get("max_tokens", 4096))
        for start in range(0, min(thinking, room), 20):
            yield chunk(model, {"reasoning": "hm " * min(20, room - start)})
        is_cut = thinking >= room
        answer = '{"n": 7}' if "response_format" in request else f"the answer of {model}"
        if not is_cut:
            for word in re.findall(r"\s*\S+", answer):
                yield chunk(model, {"content": word})
        yield last_chunk(model, "length" if is_cut else "stop", thinking=min(thinking, room), is_cut=is_cut)
        yield b"data: [DONE]\n\n"


def refuse(word: str) -> None:
    if word == "429-minute":
        message = "Tokens per minute limit exceeded - too many tokens processed."
        text = error(message, "too_many_tokens_error", "quota", "token_quota_exceeded")
        raise Refusal(429, text, limits(14399, 0))
    if word == "429-day":
        message = "Requests per day limit exceeded - too many requests sent."
        text = error(message, "too_many_requests_error", "quota", "request_quota_exceeded")
        raise Refusal(429, text, limits(0, 59000))
    message = "We're experiencing high traffic right now! Please try again soon."
    status = int(word.partition("-")[0])
    raise Refusal(status, error(message, "too_many_requests_error", "queue", "queue_exceeded"))


def chunk(model: str, delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": model,
        "choices": [choice],
    }


def last_chunk(model: str, reason: str, thinking: int, is_cut: bool) -> dict[str, Any]:
    completion = thinking + (0 if is_cut else 5)
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": completion,
        "total_tokens": 100 + completion,
        "prompt_tokens_details": {"cached_tokens": 40},
        "completion_tokens_details": {"reasoning_tokens": thinking},
    }
    times = {
        "queue_time": 0.25,
        "prompt_time": 0.02,
        "completion_time": 0.5,
        "total_time": 0.77,
        "created": 1.0,
    }
    return chunk(model, {}, reason) | {"usage": usage, "time_info": times}


async def main() -> None:
    server = await asyncio.start_server(CloudServer().serve, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
