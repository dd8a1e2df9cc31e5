"""A run as strategies see it: ask a layer of agents at once, then a summarizer; events and records."""

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from moa_core.calls import Call, Progress, perform
from moa_core.config import Agent, MoAConfig
from moa_core.errors import CallFailed, LayerFailed, UnexpectedFailure
from moa_core.events import (
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
from moa_core.prompts import Message, fill_prompt, number_responses, with_system
from moa_core.providers.base import Wait
from moa_core.routing import Router
from moa_core.trace import CallRecord, Trace

_log = logging.getLogger(__name__)

SUMMARIZER = "summarizer"


@dataclass(frozen=True, slots=True)
class Part:
    """What one agent of a layer is to do. Without `messages` it answers the conversation, seeing `responses`.

    role: the part it plays.
    """

    agent: Agent
    responses: tuple[str, ...] = ()
    messages: tuple[Message, ...] | None = None
    role: str = "agent"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one call ended: an answer (`value`: its JSON, when it has a schema), or an error."""

    call: Call
    text: str = ""
    reasoning: str = ""
    value: Any = None
    error: CallFailed | None = None

    @property
    def passed_on(self) -> str:
        """The text that other agents may see."""
        if self.call.agent.pass_reasoning and self.reasoning.strip():
            return f"{self.reasoning.strip()}\n\n{self.text}"
        return self.text


class Run:
    """One run of one configuration over one conversation, on one event loop."""

    def __init__(
        self,
        config: MoAConfig,
        messages: tuple[Message, ...],
        router: Router,
        emit: Callable[[Event], None],
    ) -> None:
        self.config = config
        self.messages = messages
        self.notes: list[str] = []
        self._router = router
        self._emit = emit
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

    def trace(self) -> Trace:
        """All calls so far; one that is still going on shows as it stands."""
        calls = tuple(self._records.get(n) or p.record() for n, p in enumerate(self._progress))
        return Trace(calls, self.clock(), tuple(self.notes), self.config.seed)

    async def layer(self, parts: Sequence[Part], title: str = "") -> list[Outcome]:
        """Ask all `parts` at once; returns the outcomes in their order, failed ones included.

        Raises LayerFailed when every one failed.
        """
        self._n_layers += 1
        layer = self._n_layers
        self._emit(LayerStarted(layer, tuple(part.agent.name for part in parts), title))
        calls = [self._prepare(layer, index, part) for index, part in enumerate(parts)]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._ask(call)) for call in calls]
        outcomes = [task.result() for task in tasks]
        answers = tuple(outcome.passed_on for outcome in outcomes if outcome.error is None)
        self._emit(LayerFinished(layer, answers, len(outcomes) - len(answers)))
        if not answers:
            raise LayerFailed(layer, {o.call.agent.name: str(o.error) for o in outcomes})
        return outcomes

    async def summarize(self, responses: Sequence[str], agent: Agent | None = None) -> str:
        """The final answer, made of `responses`. A summarizer that fails leaves them as they are, and a note.

        Raises CallFailed when it fails and there are no responses to fall back on.
        """
        part = Part(agent or self.config.summarizer, tuple(responses), role=SUMMARIZER)
        outcome = await self._ask(self._prepare(self._n_layers + 1, 0, part))
        if outcome.error is None:
            return outcome.text
        if not responses:
            raise outcome.error
        self.note("The summarizer gave no answer, so these are the agents' own answers, not combined.")
        return responses[0].strip() if len(responses) == 1 else number_responses(responses)

    def _prepare(self, layer: int, index: int, part: Part) -> Call:
        messages = part.messages
        if messages is None:
            prompt = fill_prompt(part.agent.prompt, part.responses, self.config.reference_prompt)
            messages = with_system(prompt, self.messages)
        return Call(layer, index, part.agent, messages, part.role, self._seed(layer, index))

    def _seed(self, layer: int, index: int) -> int | None:
        """A seed of its own for every call of a seeded run, the same on every machine."""
        if self.config.seed is None:
            return None
        digest = hashlib.sha256(f"{self.config.seed}/{layer}/{index}".encode()).digest()
        return int.from_bytes(digest[:4], "big") >> 1

    async def _ask(self, call: Call) -> Outcome:
        """One call from its first event to its last; faults become values, cancellation passes through."""
        progress = Progress(call, self.clock, start_s=self.clock())
        number = len(self._progress)
        self._progress.append(progress)
        value, error = None, None
        try:
            provider = await self._router.route(call.agent)
            progress.provider = provider.name
            if call.role != SUMMARIZER:
                self._emit(self._started_event(call, provider.name))
            show, show_wait = self._shower(call), self._wait_shower(call)
            value = await perform(call, provider, progress, show, show_wait)
        except CallFailed as exc:
            error = exc
        except (
            Exception
        ) as exc:  # the task's outer edge: a defect in a provider must not take the others down
            _log.exception("call of agent %r failed unexpectedly", call.agent.name)
            error = UnexpectedFailure(f"unexpected {type(exc).__name__}; the log has the details")
        record = progress.record(error)
        self._records[number] = record
        return self._finish(call, progress, record, value, error)

    def _finish(
        self, call: Call, progress: Progress, record: CallRecord, value: Any, error: CallFailed | None
    ) -> Outcome:
        layer, name, index = call.layer, call.agent.name, call.index
        where = "the summarizer" if call.role == SUMMARIZER else f"layer {layer}, {name}"
        self.notes.extend(f"{where}: {note}" for note in progress.notes)
        if error is None:
            if call.role != SUMMARIZER:
                self._emit(
                    AgentFinished(layer, name, index, progress.text, record, progress.reasoning, call.role)
                )
            return Outcome(call, progress.text, progress.reasoning, value)
        self.note(f"{where} failed and was left out: {error}")
        self._emit(AgentFailed(layer, name, index, str(error), error, record, progress.text, call.role))
        return Outcome(call, error=error)

    def _started_event(self, call: Call, provider: str) -> AgentStarted:
        return AgentStarted(call.layer, call.agent.name, call.index, call.agent.model, provider, call.role)

    def _shower(self, call: Call) -> Callable[[str, str], None]:
        if call.role == SUMMARIZER:
            return lambda text, reasoning: self._emit(SummaryDelta(text, reasoning))
        layer, name, index = call.layer, call.agent.name, call.index
        return lambda text, reasoning: self._emit(AgentDelta(layer, name, index, text, reasoning))

    def _wait_shower(self, call: Call) -> Callable[[Wait], None]:
        layer, name, index, role = call.layer, call.agent.name, call.index, call.role
        return lambda wait: self._emit(AgentWaiting(layer, name, index, wait.reason, wait.wait_s, role))
