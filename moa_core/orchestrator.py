"""Runs a configuration: `run` is an async generator of events, `run_sync` a plain iterator over the same."""

import asyncio
import contextlib
import queue
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, aclosing

from moa_core.config import MoAConfig
from moa_core.errors import LayerFailed, MoAError
from moa_core.events import Event, RunFailed, RunFinished, RunStarted
from moa_core.prompts import Message, check_messages
from moa_core.providers.base import Provider, Sessional
from moa_core.routing import Router
from moa_core.runtime import Run
from moa_core.strategies import find_strategy


async def run(
    config: MoAConfig,
    messages: str | Sequence[Message],
    providers: Provider | Sequence[Provider],
) -> AsyncIterator[Event]:
    """Run `config` over the conversation and tell what happens, from RunStarted to RunFinished or RunFailed.

    messages: role and content each, the last one the user's question; a plain string is one question.
    providers: one, or several asked in order which of them has an agent's model.
    Closing the generator cancels every call and waits until none is left.
    Raises InvalidMessages and ConfigError before the first event; faults of calls are events.
    """
    conversation = check_messages(messages)
    router = Router(providers)
    strategy = find_strategy(config.strategy)
    events: asyncio.Queue[Event | None] = asyncio.Queue()
    moa = Run(config, conversation, router, events.put_nowait)

    async def play() -> None:
        async with AsyncExitStack() as stack:
            for provider in router.providers:
                if isinstance(provider, Sessional):
                    await stack.enter_async_context(provider.session())
            stack.push_async_callback(router.aclose)
            events.put_nowait(
                RunStarted(strategy.name, strategy.count_layers(config), config.seed, config.notes)
            )
            events.put_nowait(await _outcome(moa, strategy.play(moa)))

    player = asyncio.create_task(play(), name="moa-run")
    player.add_done_callback(lambda _: events.put_nowait(None))
    try:
        while (event := await events.get()) is not None:
            yield event
        await player
    finally:
        player.cancel()
        await asyncio.wait([player])


async def _outcome(moa: Run, answer: "asyncio.Future[str] | object") -> Event:
    """The last event: the strategy's answer, or why there is none."""
    try:
        text = await answer  # type: ignore[misc]
    except MoAError as exc:
        reasons = exc.reasons if isinstance(exc, LayerFailed) else {}
        return RunFailed(str(exc), exc, moa.trace(), reasons)
    return RunFinished(text, moa.trace(), tuple(moa.notes))


def run_sync(
    config: MoAConfig,
    messages: str | Sequence[Message],
    providers: Provider | Sequence[Provider],
) -> Iterator[Event]:
    """The same events as `run`, for code without an event loop (a page, a script, a notebook).

    The run has an event loop of its own on a thread of its own, so it goes on while the caller draws. Closing
    the iterator (or Ctrl-C in it) cancels every call and returns when the thread has ended.
    """
    events: queue.SimpleQueue[Event | BaseException | None] = queue.SimpleQueue()
    loop_ready: queue.SimpleQueue[tuple[asyncio.AbstractEventLoop, asyncio.Task[None]]] = queue.SimpleQueue()

    async def pump() -> None:
        task = asyncio.current_task()
        assert task is not None
        loop_ready.put((asyncio.get_running_loop(), task))
        async with aclosing(run(config, messages, providers)) as stream:  # type: ignore[type-var]
            async for event in stream:
                events.put(event)

    def work() -> None:
        try:
            asyncio.run(pump())
        except asyncio.CancelledError:
            events.put(None)
        except BaseException as exc:  # handed to the caller's thread, raised there
            events.put(exc)
        else:
            events.put(None)

    thread = threading.Thread(target=work, name="moa-run", daemon=True)
    thread.start()
    loop, task = loop_ready.get()
    try:
        while (event := events.get()) is not None:
            if isinstance(event, BaseException):
                raise event
            yield event
    finally:
        with contextlib.suppress(RuntimeError):  # the loop has already closed
            loop.call_soon_threadsafe(task.cancel)
        thread.join()
