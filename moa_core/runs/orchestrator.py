"""Runs a configuration: `run` is an async generator of events, `run_sync` a plain iterator over the same."""

import asyncio
import contextlib
import queue
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import AsyncExitStack, aclosing

from moa_core.config.values import MoAConfig
from moa_core.errors import ConfigError, LayerFailed, MoAError
from moa_core.providers.base import Provider, Sessional, Wait
from moa_core.runs.budget import Contexts
from moa_core.runs.events import AgentWaiting, Event, RunFailed, RunFinished, RunStarted
from moa_core.runs.execution import LiveRun
from moa_core.runs.plan import DryRun, dry_run, make_plan
from moa_core.runs.prompts import Message, check_messages
from moa_core.runs.routing import Router
from moa_core.runs.strategy_context import Checker
from moa_core.strategies import Strategy, find_strategy


async def run(
    config: MoAConfig,
    messages: str | Sequence[Message],
    providers: Provider | Sequence[Provider],
    checker: Checker | None = None,
) -> AsyncGenerator[Event, None]:
    """Run `config` over the conversation and tell what happens, from RunStarted to RunFinished or RunFailed.

    messages: role and content each, the last one the user's question; a plain string is one question.
    providers: one, or several asked in order which of them has an agent's model.
    checker: tries answers, for the strategies that test their own work.
    Closing the generator cancels every call and waits until none is left.
    Raises InvalidMessages and ConfigError before the first event; faults of calls are events.
    """
    conversation = check_messages(messages)
    router = Router(providers)
    strategy = find_strategy(config.strategy)
    if strategy.needs_checker and checker is None:
        raise ConfigError(
            f"{strategy.name} tries its answers, and nothing was handed in that could; "
            "it works where answers can be tried, such as in a challenge",
            "strategy",
        )
    events: asyncio.Queue[Event | None] = asyncio.Queue()
    dry = await dry_run(config, conversation)
    unused = [name for name in config.options if name not in strategy.options]
    notes = (*config.notes, *(f"option {name!r} means nothing to {strategy.name}" for name in unused))
    events.put_nowait(RunStarted(strategy.name, dry.n_layers, config.seed, notes))
    player = asyncio.create_task(
        _play(strategy, dry, config, conversation, router, events.put_nowait, checker), name="moa-run"
    )
    player.add_done_callback(lambda _: events.put_nowait(None))
    try:
        while (event := await events.get()) is not None:
            yield event
        await player
    finally:
        player.cancel()
        await asyncio.wait([player])


async def _play(
    strategy: Strategy,
    dry: DryRun,
    config: MoAConfig,
    conversation: tuple[Message, ...],
    router: Router,
    emit: Callable[[Event], None],
    checker: Checker | None,
) -> None:
    """Plan, then play; emits everything between RunStarted and the last event, and that one."""
    contexts = Contexts(router)
    live = LiveRun(config, conversation, router, emit, contexts, checker)
    async with AsyncExitStack() as stack:
        for provider in router.providers:
            if isinstance(provider, Sessional):
                await stack.enter_async_context(provider.session())
        stack.push_async_callback(router.aclose)
        try:
            show_wait = _wait_shower(dry, emit)
            plan = await make_plan(config, conversation, router, contexts, show_wait, dry)
            plan.check()
            live.messages = plan.messages
            for note in plan.notes:
                live.note(note)
            answer = await strategy.answer(live)
        except MoAError as exc:
            reasons = exc.reasons if isinstance(exc, LayerFailed) else {}
            emit(RunFailed(str(exc), exc, live.trace(), reasons))
        else:
            emit(RunFinished(answer, live.trace(), tuple(live.notes)))


def _wait_shower(dry: DryRun, emit: Callable[[Event], None]) -> Callable[[Wait], None]:
    """Before the first call, what takes long is shown at the first agent: its model is loaded first."""
    first = dry.calls[0]

    def show(wait: Wait) -> None:
        task = first.task
        emit(AgentWaiting(first.layer, task.agent.name, 0, wait.reason, wait.wait_s, task.role))

    return show


def run_sync(
    config: MoAConfig,
    messages: str | Sequence[Message],
    providers: Provider | Sequence[Provider],
    checker: Checker | None = None,
) -> Generator[Event, None, None]:
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
        async with aclosing(run(config, messages, providers, checker)) as stream:
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
