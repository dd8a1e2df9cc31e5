"""A run from the question to the answer: read this file to see what a Mixture of Agents does.

`run` checks and plans (see plan.py: what every call may receive, and whether it fits), then lets the strategy
make its calls through a `LiveRun`: layers of agents asked at once, then the summarizer. What happens is told
as events (events.py) and kept as a trace (trace.py); one call is in calls.py.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import AsyncExitStack

from moa_core.config.values import MoAConfig
from moa_core.errors import CallFailed, ConfigError, LayerFailed, MoAError, UnexpectedFailure
from moa_core.providers.base import Provider, Sessional, Wait
from moa_core.runs.background import in_background
from moa_core.runs.budget import Contexts, trim_fairly
from moa_core.runs.calls import AgentCall
from moa_core.runs.events import (
    AgentDelta,
    AgentFailed,
    AgentFinished,
    AgentStarted,
    AgentWaiting,
    Event,
    LayerFinished,
    LayerStarted,
    RunFailed,
    RunFinished,
    RunStarted,
    SummaryDelta,
)
from moa_core.runs.plan import DryRun, dry_run, make_plan
from moa_core.runs.prompts import Message, check_messages, number_responses
from moa_core.runs.routing import Router
from moa_core.runs.seeds import call_seed
from moa_core.runs.strategy_context import (
    MAX_FEEDBACK_CHARS,
    SUMMARIZER,
    AgentResult,
    AgentTask,
    Checked,
    Checker,
)
from moa_core.runs.trace import CallRecord, CheckRecord, Trace
from moa_core.strategies import Strategy, find_strategy

_log = logging.getLogger(__name__)


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
    live = LiveRun(config, conversation, router, events.put_nowait, checker)
    running = asyncio.create_task(_run_to_the_end(strategy, dry, live), name="moa-run")
    running.add_done_callback(lambda _: events.put_nowait(None))
    try:
        while (event := await events.get()) is not None:
            yield event
        await running
    finally:
        running.cancel()
        await asyncio.wait([running])


async def _run_to_the_end(strategy: Strategy, dry: DryRun, live: "LiveRun") -> None:
    """Plan, then answer; emits everything between RunStarted and the last event, and that one."""
    async with AsyncExitStack() as stack:
        for provider in live.router.providers:
            if isinstance(provider, Sessional):
                await stack.enter_async_context(provider.session())
        stack.push_async_callback(live.router.aclose)
        try:
            show_wait = _wait_shower(dry, live.emit)
            plan = await make_plan(live.config, live.messages, live.router, live.contexts, show_wait, dry)
            plan.check()
            live.messages = plan.messages
            for note in plan.notes:
                live.note(note)
            answer = await strategy.answer(live)
        except MoAError as exc:
            reasons = exc.reasons if isinstance(exc, LayerFailed) else {}
            live.emit(RunFailed(str(exc), exc, live.trace(), reasons))
        else:
            live.emit(RunFinished(answer, live.trace(), tuple(live.notes)))


def _wait_shower(dry: DryRun, emit: Callable[[Event], None]) -> Callable[[Wait], None]:
    """Before the first call, what takes long is shown at the first agent: its model is loaded first."""
    first = dry.calls[0] if dry.calls else None  # a strategy may answer without a model

    def show(wait: Wait) -> None:
        if first is not None:
            task = first.task
            emit(AgentWaiting(first.layer, task.agent.name, 0, wait.reason, wait.wait_s, task.role))

    return show


class LiveRun:
    """One run of one configuration over one conversation, on one event loop."""

    def __init__(
        self,
        config: MoAConfig,
        messages: tuple[Message, ...],
        router: Router,
        emit: Callable[[Event], None],
        checker: Checker | None = None,
    ) -> None:
        self.config = config
        self.messages = messages
        self.notes: list[str] = []
        self.router = router
        self.emit = emit
        self.contexts = Contexts(router)
        self._checker = checker
        self._checks: list[CheckRecord] = []
        self._started = time.monotonic()
        self._calls: list[AgentCall] = []
        self._records: dict[int, CallRecord] = {}
        self._n_layers = 0

    def clock(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._started

    def note(self, text: str) -> None:
        """Say something that the reader of the answer must see."""
        self.notes.append(text)

    def publish(self, answer: str) -> None:
        """Show an answer that no summarizer wrote."""
        self.emit(SummaryDelta(answer))

    def trace(self) -> Trace:
        """All calls so far; one that is still going on shows as it stands."""
        calls = tuple(self._records.get(n) or call.record() for n, call in enumerate(self._calls))
        return Trace(calls, self.clock(), tuple(self.notes), self.config.seed, tuple(self._checks))

    async def layer(self, tasks: Sequence[AgentTask], title: str = "") -> list[AgentResult]:
        """Ask all `tasks` at once; the results in their order, failed ones included.

        Raises LayerFailed when every one failed.
        """
        self._n_layers += 1
        layer = self._n_layers
        self.emit(LayerStarted(layer, tuple(task.agent.name for task in tasks), title))
        async with asyncio.TaskGroup() as group:
            calls = [group.create_task(self._ask(layer, i, task)) for i, task in enumerate(tasks)]
        results = [call.result() for call in calls]
        answers = tuple(result.passed_on for result in results if result.error is None)
        self.emit(LayerFinished(layer, answers, len(results) - len(answers)))
        if not answers:
            reasons = {result.agent.name: str(result.error) for result in results}
            raise LayerFailed(layer, reasons, tuple(result.error for result in results))
        return results

    async def check(self, answers: Sequence[AgentResult]) -> list[Checked]:
        """What the checker says of each answer, in their order; each on a thread, all at once."""
        return list(await asyncio.gather(*(self._try(answer) for answer in answers)))

    async def _try(self, answer: AgentResult) -> Checked:
        """One answer tried and recorded; a checker that fails is a problem of the check, not of the run."""
        start_s = self.clock()
        try:
            if self._checker is None:
                raise ConfigError("nothing was handed in that could try an answer", "checker")
            checked = await asyncio.to_thread(self._checker, answer.text)
        except Exception as exc:  # the checker is the caller's: what it raises is said, and the run goes on
            _log.warning("trying the answer of %r failed", answer.agent.name, exc_info=True)
            checked = Checked(0.0, problem=f"{type(exc).__name__}: {exc}")
        record = CheckRecord(
            self._n_layers, answer.agent.name, start_s, self.clock(), checked.share,
            checked.feedback[:MAX_FEEDBACK_CHARS], checked.problem, answer.text,
        )  # fmt: skip
        self._checks.append(record)
        return Checked(record.share, record.feedback, record.problem)

    async def summarize(self, responses: Sequence[str]) -> str:
        """The final answer, made of `responses`. A summarizer that fails leaves them as they are, and a note.

        Raises CallFailed when it fails and there are no responses to fall back on.
        """
        task = AgentTask(self.config.summarizer, tuple(responses), role=SUMMARIZER)
        result = await self._ask(self._n_layers + 1, 0, task)
        if result.error is None:
            return result.text
        if not responses:
            raise result.error
        self.note("The summarizer gave no answer, so these are the agents' own answers, not combined.")
        return responses[0].strip() if len(responses) == 1 else number_responses(responses)

    async def _ask(self, layer: int, index: int, task: AgentTask) -> AgentResult:
        """One call from its first event to its last; faults become values, cancellation passes through."""
        call = self._new_call(layer, index, task)
        number = len(self._calls)
        self._calls.append(call)
        value, error = None, None
        try:
            call.provider = await self.router.route(task.agent)
            if task.role != SUMMARIZER:
                place = (layer, task.agent.name, index)
                self.emit(AgentStarted(*place, task.agent.model, call.provider.name, task.role))
            call.context = await self.contexts.of(task.agent)
            task = await self._trimmed(task, call)
            value = await call.perform(task.filled(self.config, self.messages))
        except CallFailed as exc:
            error = exc
        except Exception as exc:  # the task's outer edge: one defect must not take the others down
            _log.exception("call of agent %r failed unexpectedly", task.agent.name)
            error = UnexpectedFailure(f"unexpected {type(exc).__name__}; the log has the details")
        self._records[number] = call.record(error)
        result = AgentResult(call.agent, error=error)
        if error is None:
            result = AgentResult(call.agent, call.text, call.reasoning, value)
        self._tell_end(call, self._records[number], error)
        return result

    def _new_call(self, layer: int, index: int, task: AgentTask) -> AgentCall:
        """The call of a task, with events as its listeners."""
        place = (layer, task.agent.name, index)

        def show(text: str, reasoning: str) -> None:
            is_last = task.role == SUMMARIZER
            self.emit(SummaryDelta(text, reasoning) if is_last else AgentDelta(*place, text, reasoning))

        def show_wait(wait: Wait) -> None:
            self.emit(AgentWaiting(*place, wait.reason, wait.wait_s, task.role))

        seed = self._seed(layer, index)
        return AgentCall(
            layer, index, task.agent, task.role, seed, self.clock, show, show_wait, start_s=self.clock()
        )

    async def _trimmed(self, task: AgentTask, call: AgentCall) -> AgentTask:
        """The task with its helper responses cut to what fits, if the user allows it and it must be."""
        if not self.config.trim_helpers or not task.responses:
            return task
        task, notes = await trim_fairly(task, self.config, self.messages, self.contexts)
        call.notes.extend(notes)
        return task

    def _seed(self, layer: int, index: int) -> int | None:
        """A seed of its own for every call of a seeded run, the same on every machine."""
        if self.config.seed is None:
            return None
        return call_seed(self.config.seed, layer, index)

    def _tell_end(self, call: AgentCall, record: CallRecord, error: CallFailed | None) -> None:
        """The notes and the last event of a call."""
        name, is_last = call.agent.name, call.role == SUMMARIZER
        where = "The summarizer" if is_last else f"Layer {call.layer}, {name}"
        for note in call.notes:
            self.note(f"{where}: {note}")
        place = (call.layer, name, call.index)
        if error is not None:
            self.note(f"{where} failed and was left out: {error}")
            self.emit(AgentFailed(*place, str(error), error, record, call.text, call.role))
        elif not is_last:
            self.emit(AgentFinished(*place, call.text, record, call.reasoning, call.role))


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
    with in_background(lambda: run(config, messages, providers, checker)) as events:
        for event in events:
            if event is not None:
                yield event
