"""What a run tells while it goes on. Frozen, so that they can be handed between threads.

An agent is identified by (`layer`, `index`); `agent` is its name, unique within its layer. Layers count from
1.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from moa_core.errors import MoAError
from moa_core.runs.trace import CallRecord, Trace


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The run begins: `n_layers` layers will run before the summarizer."""

    strategy: str
    n_layers: int
    seed: int | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LayerStarted:
    """The agents of a layer begin, all at once. `title` says what the layer does."""

    layer: int
    agents: tuple[str, ...]
    title: str = ""


@dataclass(frozen=True, slots=True)
class AgentEvent:
    """Something of one agent's call: in which layer, from 1, whose, and at which place among them, from 0."""

    layer: int
    agent: str
    index: int


@dataclass(frozen=True, slots=True)
class AgentStarted(AgentEvent):
    """A call was handed to its provider. role: agent, or the part it plays (planner, critic, judge)."""

    model: str
    provider: str
    role: str = "agent"


@dataclass(frozen=True, slots=True)
class AgentWaiting(AgentEvent):
    """A call cannot go on yet: a queue, a retry, a download. wait_s: expected seconds, if known."""

    reason: str
    wait_s: float | None = None
    role: str = "agent"


@dataclass(frozen=True, slots=True)
class AgentDelta(AgentEvent):
    """More text of an agent; `reasoning` is thinking, which is no part of the answer."""

    text: str
    reasoning: str = ""


@dataclass(frozen=True, slots=True)
class AgentFinished(AgentEvent):
    """An agent's whole answer; `text` is binding where the deltas differ (a retry, a stray tag)."""

    text: str
    call: CallRecord
    reasoning: str = ""
    role: str = "agent"


@dataclass(frozen=True, slots=True)
class AgentFailed(AgentEvent):
    """An agent failed and is left out. `partial` is what came before the fault: shown, never passed on."""

    message: str
    error: MoAError
    call: CallRecord
    partial: str = ""
    role: str = "agent"


@dataclass(frozen=True, slots=True)
class LayerFinished:
    """A layer is done: the answers that go on, and how many agents failed."""

    layer: int
    responses: tuple[str, ...]
    n_failed: int = 0


@dataclass(frozen=True, slots=True)
class SummaryDelta:
    """More text of the final answer; `reasoning` is thinking, which is no part of it."""

    text: str
    reasoning: str = ""


@dataclass(frozen=True, slots=True)
class RunFinished:
    """The answer, the trace, and the notes a reader must see (who was left out, what was trimmed)."""

    answer: str
    trace: Trace
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunFailed:
    """The run stopped without an answer; `reasons` maps agents to theirs when a whole layer failed."""

    message: str
    error: MoAError
    trace: Trace
    reasons: Mapping[str, str] = field(default_factory=dict)


Event = (
    RunStarted
    | LayerStarted
    | AgentStarted
    | AgentWaiting
    | AgentDelta
    | AgentFinished
    | AgentFailed
    | LayerFinished
    | SummaryDelta
    | RunFinished
    | RunFailed
)
