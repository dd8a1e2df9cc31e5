"""One call of a run: stream it, separate thinking, hold it to its schema and its thinking budget."""

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from moa_core.config import Agent
from moa_core.errors import CallFailed, EmptyAnswer, IncompleteAnswer, InvalidStructure, ThinkingBudgetSpent
from moa_core.prompts import Message
from moa_core.providers.base import CallRequest, Delta, Finish, Provider, Wait
from moa_core.reasoning import ThinkSplitter
from moa_core.structured import parse_structured
from moa_core.trace import CallRecord

STRUCTURE_ATTEMPTS = 3
CHARS_PER_TOKEN = 4  # of English thinking, when a server does not say
ENOUGH_THINKING = "You have thought enough. Give only the final answer now, without any further thinking."


@dataclass(frozen=True, slots=True)
class Call:
    """What is to be asked of whom. `layer` and `index` say where it stands in the run; role: its part."""

    layer: int
    index: int
    agent: Agent
    role: str = "agent"
    seed: int | None = None


@dataclass(slots=True)
class Progress:
    """A call as it goes on; one per call, filled while it streams. Times are seconds since the run began."""

    call: Call
    clock: Callable[[], float]
    provider: str = ""
    start_s: float = 0.0
    first_token_s: float | None = None
    text: str = ""
    reasoning: str = ""
    n_thinking: int = 0
    attempts: int = 1
    finish: Finish = field(default_factory=lambda: Finish(reason=""))
    notes: list[str] = field(default_factory=list)

    def record(self, error: CallFailed | None = None) -> CallRecord:
        """The call as it stands, for the trace."""
        usage, agent = self.finish.usage, self.call.agent
        return CallRecord(
            layer=self.call.layer,
            agent=agent.name,
            index=self.call.index,
            role=self.call.role,
            provider=self.provider,
            model=agent.model,
            start_s=self.start_s,
            end_s=self.clock(),
            first_token_s=self.first_token_s,
            prompt_tokens=usage.prompt_tokens,
            cached_tokens=usage.cached_tokens,
            completion_tokens=usage.completion_tokens,
            reasoning_tokens=usage.reasoning_tokens
            if usage.reasoning_tokens is not None
            else self.n_thinking,
            attempts=self.attempts,
            finish_reason=self.finish.reason or None,
            error=str(error) if error else None,
            text=self.text,
            reasoning=self.reasoning,
            notes=tuple(self.notes),
            timing=self.finish.timing,
            raw=self.finish.raw,
        )


Show = Callable[[str, str], None]
ShowWait = Callable[[Wait], None]


async def perform(
    call: Call,
    messages: tuple[Message, ...],
    provider: Provider,
    progress: Progress,
    show: Show,
    show_wait: ShowWait,
) -> Any:
    """Stream the answer into `progress`; returns the parsed JSON when the agent has a schema, else None.

    show(text, reasoning) and show_wait are called for every piece. Raises CallFailed.
    """
    schema = call.agent.response_schema
    for attempt in range(1, STRUCTURE_ATTEMPTS + 1):
        await _stream_within_budget(call, messages, provider, progress, show, show_wait)
        if not progress.text.strip():
            raise EmptyAnswer(_empty_reason(progress))
        if schema is None:
            return None
        value, fault = parse_structured(progress.text, schema)
        if fault is None:
            return value
        if attempt == STRUCTURE_ATTEMPTS:
            raise InvalidStructure(f"no valid JSON after {attempt} attempts: {fault}")
        progress.attempts += 1
        progress.notes.append(f"attempt {attempt} was no valid answer: {fault}")
        show_wait(Wait(f"asked again, because the answer was no valid JSON: {fault}"))
        messages = (
            *messages,
            {"role": "assistant", "content": progress.text},
            {
                "role": "user",
                "content": f"That is not valid: {fault}\nAnswer again with the corrected JSON only.",
            },
        )
    raise AssertionError("unreachable")


async def _stream_within_budget(
    call: Call,
    messages: tuple[Message, ...],
    provider: Provider,
    progress: Progress,
    show: Show,
    show_wait: ShowWait,
) -> None:
    """Stream once; a model that thinks past its budget is stopped and asked once for the answer alone."""
    if await _stream_once(call, messages, provider, progress, show, show_wait):
        return
    budget = call.agent.thinking_budget
    progress.attempts += 1
    progress.notes.append(f"stopped thinking after its budget of {budget} tokens and asked for the answer")
    show_wait(Wait(f"its thinking budget of {budget} tokens is spent; asked for the answer"))
    messages = (
        *messages,
        {"role": "assistant", "content": progress.reasoning},
        {"role": "user", "content": ENOUGH_THINKING},
    )
    if not await _stream_once(call, messages, provider, progress, show, show_wait):
        raise ThinkingBudgetSpent(
            f"kept thinking past its budget of {budget} tokens, twice, without an answer"
        )


async def _stream_once(
    call: Call,
    messages: tuple[Message, ...],
    provider: Provider,
    progress: Progress,
    show: Show,
    show_wait: ShowWait,
) -> bool:
    """Stream one request into `progress`; False when it was cut off because of its thinking budget."""
    budget = call.agent.thinking_budget
    reader = _Reader(progress)
    n_attempts = 0
    async with aclosing(_as_generator(provider, _request(call, messages))) as deltas:
        async for delta in deltas:
            if delta.wait is not None:
                progress.attempts += max(0, delta.wait.attempts - n_attempts)
                n_attempts = max(n_attempts, delta.wait.attempts)
                show_wait(delta.wait)
                continue
            answer, thinking = reader.take(delta)
            if answer or thinking:
                show(answer, thinking)
            if delta.finish is not None:
                return True
            if budget is not None and progress.n_thinking > budget and not progress.text.strip():
                return False
    raise IncompleteAnswer("the stream ended early; what came so far is incomplete")


class _Reader:
    """Keeps `progress` up to date with one stream: answer and thinking apart, tokens counted, times taken."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._splitter = ThinkSplitter()
        self._told = ""  # thinking that the provider itself kept apart
        progress.n_thinking = 0

    def take(self, delta: Delta) -> tuple[str, str]:
        """The answer text and the thinking that `delta` adds."""
        progress, splitter = self._progress, self._splitter
        answer, thinking = splitter.feed(delta.text) if delta.text else ("", "")
        if delta.reasoning:
            self._told += delta.reasoning
            thinking += delta.reasoning
        if delta.finish is not None:
            rest = splitter.finish()
            answer, thinking = answer + rest[0], thinking + rest[1]
            progress.finish = delta.finish
        if thinking:
            progress.n_thinking += _count(delta, thinking)
        if (answer or thinking) and progress.first_token_s is None:
            progress.first_token_s = progress.clock()
        progress.text = splitter.text
        progress.reasoning = self._told + splitter.reasoning
        return answer, thinking


async def _as_generator(provider: Provider, request: CallRequest) -> Any:
    """The provider's stream as something that can be closed, whatever kind of async iterator it is."""
    stream = provider.stream(request)
    try:
        async for delta in stream:
            yield delta
    finally:
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()


def _request(call: Call, messages: tuple[Message, ...]) -> CallRequest:
    agent = call.agent
    return CallRequest(
        model=agent.model,
        messages=messages,
        temperature=agent.temperature,
        top_p=agent.top_p,
        max_tokens=agent.max_tokens,
        stop=agent.stop,
        seed=agent.seed if agent.seed is not None else call.seed,
        response_schema=agent.response_schema,
    )


def _count(delta: Delta, thinking: str) -> int:
    """Tokens of a piece of thinking: as the provider says, else estimated."""
    return max(1, len(thinking) // CHARS_PER_TOKEN) if delta.n_tokens is None else delta.n_tokens


def _empty_reason(progress: Progress) -> str:
    if progress.reasoning.strip():
        return "it only thought and gave no answer; allow more max_tokens or set a thinking budget"
    return "the answer is empty"
