"""The in-process provider: models that run inside this program, on `wse_backend`'s engines."""

import asyncio
import json
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from moa_core.errors import (
    ContextExceeded,
    IncompleteAnswer,
    InProcessFailed,
    ModelNotFound,
    RateLimited,
    RequestRefused,
)
from moa_core.providers.base import CallRequest, Context, Delta, Finish, TokenUsage, Wait
from moa_core.providers.model_info import ModelInfo
from moa_core.runs.prompts import Message

# wse_backend is imported where it is used: it loads a compiler, which a session that only uses the cloud
# never needs.
if TYPE_CHECKING:
    from wse_backend import Chunk, Completion, Engine, EnginePool, RequestHandle

PROGRESS_STEP = 0.01
LOAD_INTERVAL_S = 0.1  # how often a waiting call looks how far its model is
POSITION_INTERVAL_S = 0.5  # how often a waiting call looks at its place in the queue
MIN_TOP_P = 1e-6  # servers take 0 for "the likeliest token only", the engine wants that said so


class Wafer:
    """Serves the models of an `EnginePool`; one pool is shared by all sessions, a new one is made if none is
    given.

    Thread-safe; usable from any number of event loops at once.
    """

    def __init__(
        self, pool: "EnginePool | None" = None, name: str = "wafer", accepts_paths: bool = True
    ) -> None:
        """accepts_paths: of a pool that is made here, see `EnginePool`."""
        self.name = name
        self._accepts_paths = accepts_paths
        self._pool = pool
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Wafer(name={self.name!r})"

    async def models(self) -> list[str]:
        """The models of the table and the GGUF files in the model folder."""
        from wse_backend import models

        return list(await asyncio.to_thread(models.available))

    async def context(self, model: str, on_wait: Callable[[Wait], None] | None = None) -> Context:
        """The model's context and its own tokenizer; loads the model when it is not loaded."""
        async with aclosing(self._load(model)) as updates:
            async for loaded in updates:
                if not isinstance(loaded, Wait):
                    return context_of(loaded, model)
                if on_wait is not None:
                    on_wait(loaded)
        raise InProcessFailed(f"{model} could not be loaded")

    async def stream(self, request: CallRequest) -> AsyncIterator[Delta]:
        """The answer token by token; loading and downloading are reported as waiting."""
        chunks: asyncio.Queue[Chunk] = asyncio.Queue()
        handle: RequestHandle | None = None
        while handle is None:
            engine: Engine | None = None
            async with aclosing(self._load(request.model)) as updates:
                async for loaded in updates:
                    if isinstance(loaded, Wait):
                        yield Delta(wait=loaded)
                    else:
                        engine = loaded
            if engine is None:
                raise InProcessFailed(f"{request.model} could not be loaded")
            if request.response_schema is not None:  # the first grammar of a model takes up to a second
                check = _schema_check(engine, request.model)
                await asyncio.to_thread(check, request.response_schema)
            handle = _submit(engine, request, chunks)
        position = 0
        try:
            while True:
                try:
                    chunk = await asyncio.wait_for(chunks.get(), POSITION_INTERVAL_S)
                except TimeoutError:
                    if handle.queue_position != position and handle.queue_position:
                        position = handle.queue_position
                        wait_s = handle.expected_wait_s
                        about = "" if wait_s is None else f", about {wait_s:.0f} s"
                        reason = f"number {position} in the queue for {request.model}{about}"
                        yield Delta(wait=Wait(reason, wait_s))
                    continue
                if chunk.error is not None:
                    with _translated(request.model):
                        raise chunk.error
                finish = _finish(chunk.completion) if chunk.completion is not None else None
                if finish is not None and finish.reason == "cancelled":
                    raise IncompleteAnswer(
                        f"{request.model}: the engine was stopped; the answer is incomplete"
                    )
                yield Delta(chunk.text, n_tokens=len(chunk.token_ids), finish=finish)
                if finish is not None:
                    return
        finally:
            handle.cancel()

    async def _load(self, model: str) -> "AsyncGenerator[Wait | Engine, None]":
        """Progress while the pool loads the model, then the engine. Leaving early interrupts no load."""
        load = self._shared_pool().start_loading(model)
        ended = asyncio.wrap_future(load.engine)
        stage, share = "", 0.0
        try:
            while not (await asyncio.wait({ended}, timeout=LOAD_INTERVAL_S))[0]:
                if load.stage != stage or load.share >= share + PROGRESS_STEP:
                    stage, share = load.stage, load.share
                    yield Wait(f"{model}: {stage} {share:.0%}" if load.total else f"{model}: {stage}")
            with _translated(model):
                engine = ended.result()
            yield engine
        finally:
            ended.cancel()  # the wait, not the load

    def _shared_pool(self) -> "EnginePool":
        with self._lock:
            if self._pool is None:
                from wse_backend import EnginePool

                self._pool = EnginePool(accepts_paths=self._accepts_paths)
            return self._pool


def context_of(engine: "Engine", model: str) -> Context:
    """What a loaded model holds, its own tokenizer's count, and what its answers can be held to."""
    info = ModelInfo(model, engine.n_ctx, reasons=engine.thinks)
    return Context(
        engine.n_ctx, True, _counter(engine), info,
        notes=engine.prompt_changes, check_schema=_schema_check(engine, model),
    )  # fmt: skip


def _into_loop(queue: "asyncio.Queue[Any]") -> Callable[[Any], None]:
    """A callback for other threads that puts into `queue`; late items after the loop closed are dropped."""
    loop = asyncio.get_running_loop()

    def put(item: Any) -> None:
        try:
            loop.call_soon_threadsafe(queue.put_nowait, item)
        except RuntimeError:
            if not loop.is_closed():
                raise

    return put


def _submit(engine: "Engine", request: CallRequest, chunks: "asyncio.Queue[Chunk]") -> "RequestHandle | None":
    """Hand a call to the engine; None when it was unloaded to make room since we got it.

    The engine lets owners take turns. A run has an event loop of its own, so the loop names the owner.
    """
    from wse_backend import EngineClosed

    messages = [dict(message) for message in request.messages]
    owner = str(id(asyncio.get_running_loop()))
    with _translated(request.model):
        try:
            return engine.submit(messages, _params(request), on_chunk=_into_loop(chunks), owner=owner)
        except EngineClosed:
            return None


def _schema_check(engine: "Engine", model: str) -> Callable[[Mapping[str, Any]], None]:
    """Compiles a schema ahead of the requests that have it. Raises RequestRefused."""

    def check(schema: Mapping[str, Any]) -> None:
        with _translated(model):
            engine.prepare_schema(json.dumps(schema))

    return check


def _params(request: CallRequest) -> Any:
    """What the engine takes of a request: every setting that it knows by the same name."""
    from wse_backend import SamplingParams
    from wse_backend.weights.catalog import CARDS

    known = {item.name for item in fields(SamplingParams)}
    settings = {name: value for name, value in request.settings().items() if name in known}
    if request.model in CARDS:
        settings.setdefault("repetition_penalty", CARDS[request.model].repetition_penalty)
    settings["top_p"] = max(request.top_p, MIN_TOP_P)
    if request.seed is not None:
        settings["seed"] = request.seed % 2**64
    if request.response_schema is not None:
        settings["json_schema"] = json.dumps(request.response_schema)
    n_tokens = request.max_tokens + request.thinking_tokens  # the engine counts both
    return SamplingParams(temperature=request.temperature, max_tokens=n_tokens, **settings)


def _finish(completion: "Completion") -> Finish:
    usage = completion.usage
    return Finish(
        reason=completion.finish_reason,
        usage=TokenUsage(usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens),
        timing=completion.timing,
        routing=completion.routing,
    )


def _counter(engine: "Engine") -> Callable[[Sequence[Message]], int]:
    def count(messages: Sequence[Message]) -> int:
        return engine.count_tokens([dict(message) for message in messages])

    return count


@contextmanager
def _translated(model: str) -> Iterator[None]:
    """wse_backend's errors as ours; the texts are already meant for users."""
    from wse_backend import errors

    try:
        yield
    except errors.UnknownModel as exc:
        raise ModelNotFound(str(exc)) from exc
    except errors.ContextOverflow as exc:
        raise ContextExceeded(f"{model}: {exc}") from exc
    except errors.InvalidParams as exc:
        raise RequestRefused(f"{model}: {exc}", status=400) from exc
    except errors.QueueFull as exc:
        raise RateLimited(f"{model}: {exc}") from exc
    except errors.WseError as exc:
        raise InProcessFailed(f"{model}: {exc}") from exc
