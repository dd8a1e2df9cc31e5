"""What a strategy sees of a run: tasks for agents, their results, and the context it gives them out in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from moa_core.config.values import Agent, MoAConfig
from moa_core.errors import CallFailed
from moa_core.runs.prompts import Message, fill_prompt, instruction_last, with_system

SUMMARIZER = "summarizer"
MAX_FEEDBACK_CHARS = 1500  # of what a checker says, as far as a model sees it


@dataclass(frozen=True, slots=True)
class Checked:
    """What trying an answer came to. share: of the cases it passed, 0 to 1; feedback: what failed, in words.

    problem: why it could not be tried at all, else empty.
    """

    share: float
    feedback: str = ""
    problem: str = ""


Checker = Callable[[str], Checked]
"""Tries an answer, e.g. runs its code on known cases. Called on threads, several at once; handed in by the
caller of a run, since this package knows no grader."""


@dataclass(frozen=True, slots=True)
class AgentTask:
    """What one agent of a layer is to do. Without `messages` it answers the conversation, seeing `responses`.

    role: the part it plays.
    """

    agent: Agent
    responses: tuple[str, ...] = ()
    messages: tuple[Message, ...] | None = None
    role: str = "agent"

    def filled(self, config: MoAConfig, conversation: Sequence[Message]) -> tuple[Message, ...]:
        """The messages of the call, without the JSON Schema that its agent may have."""
        messages = self.messages
        if messages is None:
            own, reference = self.agent.prompt, config.reference_prompt
            if config.prompt_order == "instruction_last":
                return instruction_last(own, self.responses, reference, conversation)
            messages = with_system(fill_prompt(own, self.responses, reference), conversation)
        return messages


@dataclass(frozen=True, slots=True)
class AgentResult:
    """How one call ended: an answer (`value`: its JSON, when it has a schema), or an error."""

    agent: Agent
    text: str = ""
    reasoning: str = ""
    value: Any = None
    error: CallFailed | None = None

    @property
    def passed_on(self) -> str:
        """The text that other agents may see."""
        if self.agent.pass_reasoning and self.reasoning.strip():
            return f"{self.reasoning.strip()}\n\n{self.text}"
        return self.text


class StrategyContext(Protocol):
    """What a strategy works with: a `LiveRun`, or the dry run that the plan is made of."""

    @property
    def config(self) -> MoAConfig: ...

    @property
    def messages(self) -> tuple[Message, ...]:
        """The conversation; the last message is the question."""

    def note(self, text: str) -> None:
        """Say something that the reader of the answer must see."""

    async def layer(self, tasks: Sequence[AgentTask], title: str = "") -> list[AgentResult]:
        """Ask all `tasks` at once; the results in their order, failed ones included.

        Raises LayerFailed when every one failed.
        """

    async def check(self, answers: Sequence[AgentResult]) -> list[Checked]:
        """What the run's checker says of each answer, in their order; all are tried at once."""

    async def summarize(self, responses: Sequence[str]) -> str:
        """The summarizer's answer to the conversation, made of `responses`."""

    def publish(self, answer: str) -> None:
        """Show an answer that no summarizer wrote."""
