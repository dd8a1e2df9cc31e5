"""One question and what became of it, as plain data built from a run's events; knows nothing of Streamlit."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from moa_core.runs import conversation as moa_conversation
from moa_core.runs import events
from moa_core.runs.conversation import Conversation
from moa_core.runs.trace import CallRecord, Trace

State = Literal["running", "done", "stopped", "failed"]
SUMMARIZER_NAME = "Summarizer"
CallState = Literal["waiting", "writing", "done", "failed", "stopped"]


@dataclass
class CallView:
    """One agent's call as a reader sees it. `note` says what it waits for, or why it failed."""

    layer: int
    index: int
    agent: str
    model: str = ""
    role: str = "agent"
    text: str = ""
    reasoning: str = ""
    state: CallState = "waiting"
    note: str = ""
    start_s: float | None = None  # seconds since the run began, as this record saw it
    first_s: float | None = None
    end_s: float | None = None


@dataclass
class LayerView:
    """The calls of one layer, in the order of the agents."""

    number: int
    title: str
    calls: list[CallView]


@dataclass
class Turn:
    """A question, the layers' answers, the summarizer's answer, and the trace of the run.

    `apply` takes every event of the run; `finish_early` is for a run that ended without its last event;
    `ended` is set when nothing of the run is left. `activity`: what goes on outside of the calls, in words.
    A run writes into its turn from a thread of its own (see background.py); pages only read.
    """

    question: str
    title: str = ""
    layers: list[LayerView] = field(default_factory=list)
    answer: str = ""
    reasoning: str = ""
    summarizer: CallView | None = None
    state: State = "running"
    notes: tuple[str, ...] = ()
    trace: Trace | None = None
    finished_calls: list[CallRecord] = field(default_factory=list)
    error: Exception | None = None
    n_layers: int = 0
    elapsed_s: float = 0.0
    single: Turn | None = None  # the same question to one model alone
    activity: str = ""
    began: float = field(default_factory=time.monotonic, compare=False, repr=False)
    ended: threading.Event = field(default_factory=threading.Event, compare=False, repr=False)
    stop_wanted: threading.Event = field(default_factory=threading.Event, compare=False, repr=False)

    def apply(self, event: events.Event) -> CallView | None:
        """Take one event in; returns the call that it changed, if it changed one."""
        match event:
            case events.RunStarted():
                self.n_layers, self.notes, self.activity = event.n_layers, event.notes, ""
                if event.n_layers == 0:
                    self.summarizer = self._summarizer()
            case events.LayerStarted():
                calls = [CallView(event.layer, index, name) for index, name in enumerate(event.agents)]
                self.layers.append(LayerView(event.layer, event.title, calls))
            case events.SummaryDelta():
                self.answer += event.text
                self.reasoning += event.reasoning
                if self.summarizer is None:
                    self.summarizer = self._summarizer()
                if self.summarizer.first_s is None:
                    self.summarizer.first_s, self.summarizer.state = self.clock(), "writing"
            case events.RunFinished():
                self.state, self.answer = "done", event.answer
                if self.summarizer is not None and self.summarizer.state == "writing":
                    self.summarizer.state, self.summarizer.end_s = "done", self.clock()
                self.trace, self.notes = event.trace, event.notes
            case events.RunFailed():
                self.state, self.error, self.trace = "failed", event.error, event.trace
            case events.LayerFinished():
                if event.layer == self.n_layers and event.responses:
                    self.summarizer = self._summarizer()
            case _:
                return self._apply_to_call(event)
        return None

    def _apply_to_call(self, event: events.AgentEvent) -> CallView:
        call = self._call(event)
        match event:
            case events.AgentStarted():
                call.model, call.role, call.state = event.model, event.role, "waiting"
                call.start_s = self.clock()
            case events.AgentWaiting():
                call.note = event.reason
            case events.AgentDelta():
                call.text += event.text
                call.reasoning += event.reasoning
                call.state, call.note = "writing", ""
                call.first_s = self.clock() if call.first_s is None else call.first_s
            case events.AgentFinished():
                call.text, call.reasoning, call.state, call.note = event.text, event.reasoning, "done", ""
                self.finished_calls.append(event.call)
            case events.AgentFailed():
                call.text, call.state, call.note = event.partial, "failed", event.message
                self.finished_calls.append(event.call)
        if isinstance(event, events.AgentFinished | events.AgentFailed):
            call.end_s = self.clock()
        return call

    def _summarizer(self) -> CallView:
        return CallView(self.n_layers + 1, 0, SUMMARIZER_NAME, role="summarizer", start_s=self.clock())

    def clock(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self.began

    def stop(self) -> None:
        """Ask the run to end; `ended` says when it has."""
        self.stop_wanted.set()

    def _call(self, event: events.AgentEvent) -> CallView:
        """The view of the event's call; the summarizer's stands apart from the layers."""
        for layer in self.layers:
            if layer.number == event.layer:
                for call in layer.calls:
                    if call.index == event.index:
                        return call
                call = CallView(event.layer, event.index, event.agent)
                layer.calls.append(call)
                return call
        if self.summarizer is None:
            self.summarizer = CallView(event.layer, event.index, event.agent, role="summarizer")
        return self.summarizer

    def finish_early(self, error: Exception | None = None) -> None:
        """The run was stopped, or ended with `error`; what was written so far stays."""
        if self.state != "running":
            return
        self.state, self.error = ("failed" if error else "stopped"), error
        for call in self.calls:
            if call.state in ("waiting", "writing"):
                call.state, call.note, call.end_s = "stopped", "", self.clock()

    @property
    def is_running(self) -> bool:
        """Whether something of the run is still going on."""
        return not self.ended.is_set()

    @property
    def is_cut(self) -> bool:
        """Whether the answer ended at its token limit, not where its writer meant to end."""
        final = [record for record in self.records if record.role == "summarizer"]
        return self.state == "done" and bool(final) and is_cut(final[-1])

    @property
    def model(self) -> str:
        """The model that wrote the answer."""
        final = [record.model for record in self.records if record.role == "summarizer"]
        return final[-1] if final else ""

    @property
    def name(self) -> str:
        """What to call the run: its title, else its question."""
        return self.title or self.question

    @property
    def records(self) -> tuple[CallRecord, ...]:
        """The trace's calls; of a run that did not end, those that did."""
        calls = self.trace.calls if self.trace else self.finished_calls
        return tuple(sorted(calls, key=lambda call: (call.layer, call.index)))

    @property
    def total_s(self) -> float:
        """Seconds that the run took; of one that did not end, until it was stopped."""
        return self.trace.total_s if self.trace else self.elapsed_s

    @property
    def cost_usd(self) -> float | None:
        """US dollars of the calls whose price is known; None when no price is."""
        costs = [record.cost_usd for record in self.records if record.cost_usd is not None]
        return sum(costs) if costs else None

    @property
    def calls(self) -> list[CallView]:
        """Every call so far, the summarizer's last."""
        in_layers = [call for layer in self.layers for call in layer.calls]
        return [*in_layers, self.summarizer] if self.summarizer else in_layers

    @property
    def progress(self) -> str:
        """What is going on right now, in a few words."""
        if self.activity:
            return self.activity
        if not self.layers:
            return "The summarizer is writing" if self.answer else "Preparing"
        n_busy = sum(call.state in ("waiting", "writing") for call in self.layers[-1].calls)
        if n_busy == 0 and len(self.layers) >= self.n_layers:
            return "The summarizer is writing" if self.answer else "The summarizer is reading"
        return f"Agent layer {self.layers[-1].number} of {self.n_layers}: {_agents(n_busy)} at work"


def is_cut(record: CallRecord) -> bool:
    """Whether a call ended because its token limit was reached."""
    return record.finish_reason == "length"


def _agents(number: int) -> str:
    return "1 agent" if number == 1 else f"{number} agents"


def answered(turns: Sequence[Turn]) -> list[Turn]:
    """The turns that have an answer."""
    return [turn for turn in turns if turn.state == "done" and turn.answer.strip()]


def finished(turns: Sequence[Turn]) -> Conversation:
    """The turns that have an answer, as moa_core keeps and exports them."""
    return Conversation(
        tuple(
            moa_conversation.Exchange(turn.question, turn.answer, turn.notes, turn.model)
            for turn in answered(turns)
        )
    )


def to_json(turns: Sequence[Turn]) -> str:
    """The answered turns as `moa_core` exports a conversation, each with its agents' texts and its trace."""
    data = json.loads(finished(turns).to_json())
    for item, turn in zip(data["turns"], answered(turns), strict=True):
        item["agents"] = [
            {
                "layer": call.layer,
                "agent": call.agent,
                "role": call.role,
                "model": call.model,
                "state": call.state,
                "text": turn.answer if call.role == "summarizer" else call.text,
            }
            for call in turn.calls
        ]
        item["trace"] = turn.trace.to_dict() if turn.trace else None
    return json.dumps(data, ensure_ascii=False, indent=2)


def conversation(turns: Sequence[Turn], question: str) -> list[dict[str, str]]:
    """Messages for a run: the finished turns' questions and answers, then the new question."""
    return [dict(message) for message in finished(turns).ask(question)]
