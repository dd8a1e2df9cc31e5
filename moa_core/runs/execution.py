"""A run as strategies see it: ask a layer of agents at once, then a summarizer; events and records."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from moa_core.config.values import MoAConfig
from moa_core.errors import CallFailed, ConfigError, LayerFailed, UnexpectedFailure
from moa_core.providers.base import Wait
from moa_core.runs.budget import Contexts, trim_fairly
from moa_core.runs.calls import Call, Progress, perform
from moa_core.runs.events import (
    AgentDelta,
    AgentFailed,
    AgentFinished,
    AgentStarted,
    AgentWaiting,
    Event,
    LayerFinished,
    LayerStarted,
    SummaryDelta,
)
from moa_core.runs.prompts import Message, number_responses
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

_log = logging.getLogger(__name__)


class LiveRun:
    """One run of one configuration over one conversation, on one event loop."""

    def __init__(
        self,
        config: MoAConfig,
        messages: tuple[Message, ...],
        router: Router,
        emit: Callable[[Event], None],
        contexts: Contexts,
        checker: Checker | None = None,
    ) -> None:
        self.config = config
        self.messages = messages
        self.notes: list[str] = []
        self._router = router
        self._emit = emit
        self._contexts = contexts
        self._checker = checker
        self._checks: list[CheckRecord] = []
        self._started = time.monotonic()
        self._progress: list[Progress] = []
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
        self._emit(SummaryDelta(answer))

    def trace(self) -> Trace:
        """All calls so far; one that is still going on shows as it stands."""
        calls = tuple(self._records.get(n) or p.record() for n, p in enumerate(self._progress))
        return Trace(calls, self.clock(), tuple(self.notes), self.config.seed, tuple(self._checks))

    async def layer(self, tasks: Sequence[AgentTask], title: str = "") -> list[AgentResult]:
        """Ask all `tasks` at once; the results in their order, failed ones included.

        Raises LayerFailed when every one failed.
        """
        self._n_layers += 1
        layer = self._n_layers
        self._emit(LayerStarted(layer, tuple(task.agent.name for task in tasks), title))
        async with asyncio.TaskGroup() as group:
            calls = [group.create_task(self._ask(layer, i, task)) for i, task in enumerate(tasks)]
        results = [call.result() for call in calls]
        answers = tuple(result.passed_on for result in results if result.error is None)
        self._emit(LayerFinished(layer, answers, len(results) - len(answers)))
        if not answers:
            raise LayerFailed(layer, {result.agent.name: str(result.error) for result in results})
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
        except (
            Exception
        ) as exc:  # the checker is the caller's: whatever it raises is said, and the run goes on
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
        call = Call(layer, index, task.agent, task.role, self._seed(layer, index))
        progress = Progress(call, self.clock, start_s=self.clock())
        number = len(self._progress)
        self._progress.append(progress)
        value, error = None, None
        try:
            provider = await self._router.route(task.agent)
            progress.provider = provider.name
            if task.role != SUMMARIZER:
                self._emit(
                    AgentStarted(layer, task.agent.name, index, task.agent.model, provider.name, task.role)
                )
            task = await self._trimmed(task, progress)
            messages = task.filled(self.config, self.messages)
            show, show_wait = self._shower(call), self._wait_shower(call)
            value = await perform(call, messages, provider, progress, show, show_wait)
        except CallFailed as exc:
            error = exc
        except Exception as exc:  # the task's outer edge: one defect must not take the others down
            _log.exception("call of agent %r failed unexpectedly", task.agent.name)
            error = UnexpectedFailure(f"unexpected {type(exc).__name__}; the log has the details")
        self._records[number] = progress.record(error)
        return self._finish(call, progress, self._records[number], value, error)

    async def _trimmed(self, task: AgentTask, progress: Progress) -> AgentTask:
        """The task with its helper responses cut to what fits, if the user allows it and it must be."""
        if not self.config.trim_helpers or not task.responses:
            return task
        task, notes = await trim_fairly(task, self.config, self.messages, self._contexts)
        progress.notes.extend(notes)
        return task

    def _seed(self, layer: int, index: int) -> int | None:
        """A seed of its own for every call of a seeded run, the same on every machine."""
        if self.config.seed is None:
            return None
        return call_seed(self.config.seed, layer, index)

    def _finish(
        self, call: Call, progress: Progress, record: CallRecord, value: Any, error: CallFailed | None
    ) -> AgentResult:
        agent, place = call.agent, (call.layer, call.agent.name, call.index)
        where = "The summarizer" if call.role == SUMMARIZER else f"Layer {call.layer}, {agent.name}"
        for note in progress.notes:
            self.note(f"{where}: {note}")
        if error is None:
            if call.role != SUMMARIZER:
                self._emit(AgentFinished(*place, progress.text, record, progress.reasoning, call.role))
            return AgentResult(agent, progress.text, progress.reasoning, value)
        self.note(f"{where} failed and was left out: {error}")
        self._emit(AgentFailed(*place, str(error), error, record, progress.text, call.role))
        return AgentResult(agent, error=error)

    def _shower(self, call: Call) -> Callable[[str, str], None]:
        if call.role == SUMMARIZER:
            return lambda text, reasoning: self._emit(SummaryDelta(text, reasoning))
        place = (call.layer, call.agent.name, call.index)
        return lambda text, reasoning: self._emit(AgentDelta(*place, text, reasoning))

    def _wait_shower(self, call: Call) -> Callable[[Wait], None]:
        place, role = (call.layer, call.agent.name, call.index), call.role
        return lambda wait: self._emit(AgentWaiting(*place, wait.reason, wait.wait_s, role))
