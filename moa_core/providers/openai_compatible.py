"""Any server that speaks the OpenAI chat completions protocol, the Cerebras cloud among them, over httpx."""

import asyncio
import json
import logging
import math
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, suppress
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import httpx

from moa_core.config.sampling import WIRE_NAMES
from moa_core.errors import (
    CallFailed,
    ConnectFailed,
    IncompleteAnswer,
    MalformedAnswer,
    RateLimited,
    RequestRefused,
)
from moa_core.providers.base import CallRequest, Context, Delta, Wait, estimate_tokens
from moa_core.providers.chat_stream import MAX_SHOWN, ChatStream
from moa_core.providers.connections import Connections
from moa_core.providers.deadline import Deadline, Timeouts
from moa_core.providers.http_errors import scrub, status_error, translated
from moa_core.providers.limiter import SHARED_LIMITERS, KeyLimiter, Limiters
from moa_core.providers.model_info import ModelInfo, read_models
from moa_core.providers.retry import RateWindow, RetryPolicy
from moa_core.providers.server_address import (
    CEREBRAS_URL,
    checked_key,
    checked_url,
    deprecation_notice,
    name_of_server,
)
from moa_core.providers.transport import open_transport

MAX_ERROR_BYTES = 64 * 1024
DRAIN_S = 0.05
USER_AGENT = "moa-workshop (httpx)"  # some services turn away requests that do not say who asks
LIST_ATTEMPTS = 2  # somebody waits for the list in front of an empty page
# Fields that some servers refuse by name; the request is then sent once more without them.
OWN_FIELDS = ("stream_options", "service_tier", "prompt_cache_key", "top_p")  # no agent's choice
DROPPABLE = ("response_format", *OWN_FIELDS, *(name for name in WIRE_NAMES.values() if name != "top_p"))
EFFORT = WIRE_NAMES["reasoning_effort"]
INFO_TIMEOUT_S = 5.0  # a run does not wait longer to learn contexts and prices
ASK_AGAIN_S = 60.0  # after a list that did not come


class _Secret:
    """A key that no repr, log or traceback shows."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def __repr__(self) -> str:
        return "***" if self._value else "none"

    def __reduce__(self) -> Any:
        raise TypeError("a key is never pickled")

    def reveal(self) -> str:
        return self._value


class OpenAICompatible:
    """A server that speaks the OpenAI protocol. Thread-safe; each event loop gets a connection pool of its
    own.

    base_url: with or without a path; without one, `/v1` is meant. name: what agents and messages call it;
    None: after its host. limiters: who shares the queue of this key (default: everyone in this process).
    context_tokens: the context of models whose server does not tell it, by model or one for all.
    service_tier, prompt_cache_key: sent with every request, to servers that know them.
    `async with provider:` keeps its connections over several runs; without it each run opens and closes its
    own.
    """

    def __init__(
        self,
        base_url: str = CEREBRAS_URL,
        api_key: str | None = None,
        name: str | None = None,
        timeouts: Timeouts | None = None,
        retry: RetryPolicy | None = None,
        limiters: Limiters | None = None,
        context_tokens: Mapping[str, int] | int | None = None,
        service_tier: str | None = None,
        prompt_cache_key: str | None = None,
    ) -> None:
        self.base_url = checked_url(base_url)
        self.name = name or name_of_server(self.base_url)
        self.notices: dict[str, str] = {}  # by model: what the server announces about its end
        self._asked: dict[str, None] = {}
        wishes = {"service_tier": service_tier, "prompt_cache_key": prompt_cache_key}
        self._extra_fields = {field: value for field, value in wishes.items() if value}
        self._chat_url = httpx.URL(f"{self.base_url}/chat/completions")
        self.timeouts = timeouts or Timeouts()
        self.retry = retry or RetryPolicy()
        self._key = _Secret(checked_key(api_key))
        self._limiters = limiters or SHARED_LIMITERS
        self._context_tokens = context_tokens
        self._infos: dict[str, ModelInfo] = {}
        self._ask_infos_at = 0.0  # monotonic seconds; infinity once they are known
        self._refused: dict[str, set[str]] = {}  # fields (of the effort: values) that it refuses, by model
        self._connections = Connections(self._open_client)
        self._ssl: ssl.SSLContext | None = None

    def __repr__(self) -> str:
        return f"OpenAICompatible(name={self.name!r}, base_url={self.base_url!r}, api_key={self._key!r})"

    async def __aenter__(self) -> Self:
        await self._connections.hold()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._connections.let_go()

    def session(self) -> AbstractAsyncContextManager[httpx.AsyncClient]:
        """Keeps this loop's connections open until the last user has left."""
        return self._connections.session()

    async def models(self) -> list[str]:
        """What the server lists now (`GET /models`), and learns what it says of them. Raises CallFailed."""
        return list(await self.model_infos())

    async def model_infos(self) -> dict[str, ModelInfo]:
        """What the server lists now, with context, prices and whether a model reasons. Raises CallFailed."""
        attempt = 0
        async with self.session() as client:
            while True:
                attempt += 1
                try:
                    return await self._list_models(client)
                except CallFailed as exc:
                    wait_s = self.retry.wait_s(exc, attempt)
                    if wait_s is None or attempt >= LIST_ATTEMPTS:
                        raise
                await asyncio.sleep(wait_s)

    async def context(self, model: str, on_wait: Callable[[Wait], None] | None = None) -> Context:
        """The context as given or as the server's list tells it, counted by a stated estimate.

        The list is asked for once; without one nothing is known, and no harm done.
        """
        if time.monotonic() >= self._ask_infos_at:
            self._ask_infos_at = time.monotonic() + ASK_AGAIN_S
            with suppress(CallFailed, TimeoutError):
                async with asyncio.timeout(INFO_TIMEOUT_S), self.session() as client:
                    await self._list_models(client)
        info = self._infos.get(model)
        given = self._context_tokens
        known = given.get(model) if isinstance(given, Mapping) else given
        n_ctx = known or (info.n_ctx if info else None)
        return Context(n_ctx, False, estimate_tokens, info, takes_effort=True)

    async def stream(self, request: CallRequest) -> AsyncGenerator[Delta, None]:
        """The answer piece by piece; sent again after passing faults, but never after the first token."""
        attempt, dropped = 0, set(self._refused.get(request.model, ()))
        for note in self._left_out(request, dropped):
            yield Delta(note=note)
        async with self.session() as client:
            while True:
                expected_s = self._limiter(request.model).expected_wait_s()
                if expected_s > 0.0:
                    yield Delta(wait=Wait(f"in the queue for {self.name}", expected_s, attempt))
                attempt += 1
                has_shown = False
                try:
                    async with aclosing(self._attempt(client, request, dropped)) as deltas:
                        async for delta in deltas:
                            has_shown = has_shown or bool(delta.text or delta.reasoning)
                            yield self._with_cost(request.model, delta)
                    return
                except CallFailed as exc:
                    if has_shown and isinstance(exc, ConnectFailed):
                        raise IncompleteAnswer(f"{exc}; what came so far is incomplete") from exc
                    if not has_shown and (field := _refused_field(exc, self._body(request, dropped))):
                        dropped.add(field)
                        self._refused.setdefault(request.model, set()).add(field)
                        yield Delta(note=self._refusal(field, request, dropped))
                        continue
                    wait_s = None if has_shown else self.retry.wait_s(exc, attempt)
                    if wait_s is None:
                        raise
                    reason = str(exc)
                yield Delta(wait=Wait(f"trying again, because {reason}", wait_s, attempt))
                await asyncio.sleep(wait_s)

    async def _attempt(
        self, client: httpx.AsyncClient, request: CallRequest, dropped: set[str]
    ) -> AsyncGenerator[Delta, None]:
        """One request, in its turn."""
        limiter = self._limiter(request.model)
        await limiter.acquire(self.retry.max_wait_s)
        began = time.monotonic()
        was_refused = False
        try:
            async with aclosing(self._exchange(client, request, dropped)) as deltas:
                async for delta in deltas:
                    yield delta
        except RateLimited as exc:
            was_refused = True
            if exc.retry_after_s and exc.retry_after_s <= self.retry.max_wait_s:
                limiter.block(exc.retry_after_s)
            raise
        finally:
            limiter.release(was_refused=was_refused, latency_s=time.monotonic() - began)

    async def _exchange(
        self, client: httpx.AsyncClient, request: CallRequest, dropped: set[str]
    ) -> AsyncGenerator[Delta, None]:
        """Send the request and read its stream; the connection is closed when this is closed."""
        stream = ChatStream(self.name, request.model, self._key.reveal())
        deadline = Deadline(self.name, self.timeouts)
        body = json.dumps(self._body(request, dropped), ensure_ascii=False, allow_nan=False)
        http_request = httpx.Request(
            "POST", self._chat_url, headers=self._headers(), content=body.encode(errors="replace")
        )
        with translated(self.name, self.timeouts.connect_s):
            async with deadline:
                response = await client.send(http_request, stream=True)
            try:
                await self._check(response, request.model)
                pieces = response.aiter_bytes()
                while not stream.has_ended():
                    async with deadline:
                        piece = await anext(pieces, None)
                    deltas = stream.feed(piece) if piece is not None else stream.end()
                    if stream.has_ended() and piece is not None:
                        await _read_to_end(pieces)
                    for delta in deltas:
                        if delta.text or delta.reasoning:
                            deadline.token_came()
                        yield delta
            finally:
                await response.aclose()

    async def _check(self, response: httpx.Response, model: str) -> None:
        """Learn from the headers; raise for every status but 200."""
        self._limiter(model).learn(response.headers)
        self._asked[model] = None
        if (notice := deprecation_notice(model, response.headers)) is not None:
            self.notices[model] = scrub(notice, self._key.reveal())
        if response.status_code != 200:
            raise status_error(
                self.name,
                model,
                response.status_code,
                response.headers,
                await _read_some(response),
                self._key.reveal(),
            )
        if response.headers.get("content-type", "").startswith("text/html"):
            raise MalformedAnswer(
                f"{self.name} answers with a web page: is {self.base_url} the right address?"
            )

    async def _list_models(self, client: httpx.AsyncClient) -> dict[str, ModelInfo]:
        """Both lists at once; only the plain one must be there."""
        detailed = asyncio.create_task(self._detailed_list(client))
        try:
            with translated(self.name, self.timeouts.connect_s):
                response = await client.get("/models", timeout=self.timeouts.connect_s)
            infos = self._read_list(response, await detailed)
        finally:
            detailed.cancel()
        self._infos, self._ask_infos_at = infos, math.inf
        return infos

    async def _detailed_list(self, client: httpx.AsyncClient) -> Any:
        """The list in OpenRouter's format, None where the server has none."""
        params = {"format": "openrouter"}
        try:
            response = await client.get("/models", params=params, timeout=self.timeouts.connect_s)
            return response.json() if response.status_code == 200 else None
        except (httpx.HTTPError, ValueError):
            return None

    def _read_list(self, response: httpx.Response, detailed: Any) -> dict[str, ModelInfo]:
        if response.status_code != 200:
            body, key = response.content[:MAX_ERROR_BYTES], self._key.reveal()
            raise status_error(self.name, "its models", response.status_code, response.headers, body, key)
        try:
            return read_models(response.json(), detailed)
        except (ValueError, KeyError, TypeError) as exc:
            said = scrub(response.text, self._key.reveal())[:MAX_SHOWN]
            raise MalformedAnswer(f"{self.name}: the list of models cannot be read: {said}") from exc

    def _with_cost(self, model: str, delta: Delta) -> Delta:
        """The delta, a last one with what the request cost, if the model's price is known."""
        info = self._infos.get(model)
        if delta.finish is None or info is None or info.price is None:
            return delta
        usage = delta.finish.usage
        if usage.cost_usd is not None or usage.prompt_tokens is None or usage.completion_tokens is None:
            return delta  # the server said it itself, or does not say enough
        cost = info.price.cost_usd(usage.prompt_tokens, usage.cached_tokens or 0, usage.completion_tokens)
        return replace(delta, finish=replace(delta.finish, usage=replace(usage, cost_usd=cost)))

    def _body(self, request: CallRequest, dropped: set[str]) -> dict[str, Any]:
        limit = "max_completion_tokens" if self.base_url == CEREBRAS_URL else "max_tokens"
        body: dict[str, Any] = {
            "model": request.model,
            "messages": [dict(message) for message in request.messages],
            "stream": True,
            "stream_options": {"include_usage": True},
            "temperature": request.temperature,
            limit: self._limit(request),
            **{WIRE_NAMES[name]: value for name, value in request.settings().items()},
            **self._extra_fields,
        }
        if request.response_schema is not None:
            schema = {"name": "answer", "strict": True, "schema": dict(request.response_schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        if body.get(EFFORT) == "none" and f"{EFFORT}=none" in dropped:
            body[EFFORT] = "low"  # a model that always thinks may know nothing below
        return {key: value for key, value in body.items() if _marked(key, body) not in dropped}

    def _left_out(self, request: CallRequest, dropped: set[str]) -> list[str]:
        """What is not as the agent has set it because the server refused it before, in sentences."""
        wanted, sent = self._body(request, set()), self._body(request, dropped)
        changed = [key for key in wanted if key not in OWN_FIELDS and sent.get(key) != wanted[key]]
        return [self._refusal(_marked(key, wanted), request, dropped) for key in changed]

    def _refusal(self, field: str, request: CallRequest, dropped: set[str]) -> str:
        instead = self._body(request, dropped).get(EFFORT) if field.startswith(EFFORT) else None
        how = "asked without it" if instead is None else f"asked with {instead}"
        return f"{self.name} refuses {field.replace('=', ' ')}; {how}"

    def _limit(self, request: CallRequest) -> int:
        """Tokens of answer and thinking together: servers count both into one limit."""
        info = self._infos.get(request.model)
        longest = info.max_output_tokens if info and info.max_output_tokens else None
        wanted = request.max_tokens + request.thinking_tokens
        return wanted if longest is None else max(request.max_tokens, min(wanted, longest))

    @property
    def asked_models(self) -> tuple[str, ...]:
        """The models that this provider has asked since it was made."""
        return tuple(self._asked)

    def allowances(self, model: str) -> list[RateWindow]:
        """What the server last said is left of the key's allowances for `model`."""
        return self._limiter(model).allowances()

    def _limiter(self, model: str) -> KeyLimiter:
        return self._limiters.for_key(self.base_url, self._key.reveal(), model)

    def _headers(self) -> dict[str, str]:
        headers = {
            "accept": "text/event-stream, application/json",
            "content-type": "application/json",
            "user-agent": USER_AGENT,
        }
        if self._key.reveal():
            headers["authorization"] = f"Bearer {self._key.reveal()}"
        return headers

    def _open_client(self) -> httpx.AsyncClient:
        if self._ssl is None and self._chat_url.scheme == "https":
            self._ssl = httpx.create_ssl_context()
        # At DEBUG hpack logs the headers as it encodes them, the key among them.
        logging.getLogger("hpack").setLevel(logging.INFO)
        return httpx.AsyncClient(
            base_url=self.base_url,
            headers=self._headers(),
            transport=open_transport(self._chat_url, self._ssl),
            timeout=httpx.Timeout(None, connect=self.timeouts.connect_s),
        )


async def _read_to_end(pieces: AsyncIterator[bytes]) -> None:
    """Read what follows `[DONE]`, usually nothing: only a body read to its end leaves its connection."""
    with suppress(TimeoutError, httpx.HTTPError):
        async with asyncio.timeout(DRAIN_S):
            async for _ in pieces:
                pass


async def _read_some(response: httpx.Response) -> bytes:
    body = b""
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > MAX_ERROR_BYTES:
            break
    return body


def _refused_field(error: CallFailed, body: Mapping[str, Any]) -> str | None:
    """The droppable field of `body` that a refusal names, if any; of the effort, with its value."""
    if not isinstance(error, RequestRefused) or error.status not in (400, 422):
        return None
    named = next((name for name in DROPPABLE if name in body and name in str(error)), None)
    return None if named is None else _marked(named, body)


def _marked(field: str, body: Mapping[str, Any]) -> str:
    """What stands for a refused field: its name; of the effort its value too, as others may be taken."""
    return f"{field}={body.get(field)}" if field == EFFORT else field
