"""One call of a run: stream it, separate thinking, hold it to its schema and its thinking budget."""

import json
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

from moa_core.config.values import Agent
from moa_core.errors import CallFailed, EmptyAnswer, IncompleteAnswer, InvalidStructure, ThinkingBudgetSpent
from moa_core.providers.base import CallRequest, Delta, Finish, Provider, Wait
from moa_core.runs.field_by_field import Field, assemble, questions_for, read_answer
from moa_core.runs.prompts import Message
from moa_core.runs.reasoning import ThinkSplitter
from moa_core.runs.structured import explain_schema, parse_structured
from moa_core.runs.trace import CallRecord

STRUCTURE_ATTEMPTS = 2
SHOWN_CHARS = 80
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
    if schema is None:
        await _stream_answer(call, messages, provider, progress, show, show_wait)
        return None
    asked, fault = explain_schema(messages, schema), ""
    for attempt in range(1, STRUCTURE_ATTEMPTS + 1):
        await _stream_answer(call, asked, provider, progress, show, show_wait)
        value, said = parse_structured(progress.text, schema)
        if said is None:
            return value
        fault = said
        progress.attempts += 1
        progress.notes.append(f"attempt {attempt} was no valid answer: {fault}")
        show_wait(Wait(f"asked again, because the answer was no valid JSON: {fault}"))
        asked = (
            *asked,
            {"role": "assistant", "content": progress.text},
            {
                "role": "user",
                "content": f"That is not valid: {fault}\nAnswer again with the corrected JSON only.",
            },
        )
    return await _ask_field_by_field(call, messages, provider, progress, show_wait, fault)


async def _ask_field_by_field(
    call: Call,
    messages: tuple[Message, ...],
    provider: Provider,
    progress: Progress,
    show_wait: ShowWait,
    fault: str,
) -> Any:
    """The structured answer asked for field by field, as the last resort. Raises InvalidStructure."""
    schema = call.agent.response_schema or {}
    form = questions_for(schema)
    if form is None:
        raise InvalidStructure(f"no valid JSON after {STRUCTURE_ATTEMPTS} attempts: {fault}")
    failed = f"no valid JSON after {STRUCTURE_ATTEMPTS} attempts, nor field by field"
    answers: dict[Field, Any] = {}
    for entry in form:
        show_wait(Wait(f"asked field by field: {entry.name}"))
        limit = min(entry.max_tokens or call.agent.max_tokens, call.agent.max_tokens)
        short = replace(call, agent=replace(call.agent, response_schema=None, max_tokens=limit))
        question = {"role": "user", "content": f"{messages[-1]['content']}\n\n{entry.question}"}
        asked = (*messages[:-1], question)
        for _ in range(STRUCTURE_ATTEMPTS):
            await _stream_answer(short, asked, provider, progress, _show_nobody, show_wait)
            answers[entry] = read_answer(entry, progress.text)
            if answers[entry] is not None:
                break
            again = {"role": "user", "content": entry.question}
            asked = (*asked, {"role": "assistant", "content": progress.text}, again)
        else:
            raise InvalidStructure(f"{failed}: {entry.name}: found no value in {shorten(progress.text)!r}")
    value = assemble(answers)
    progress.text = json.dumps(value, ensure_ascii=False)
    if (mismatch := parse_structured(progress.text, schema)[1]) is not None:
        raise InvalidStructure(f"{failed}: {mismatch}")
    progress.notes.append("the answer was asked for field by field")
    return value


def _show_nobody(text: str, reasoning: str) -> None:
    """The answers to single fields are no part of what is shown: the whole comes at the end."""


def shorten(text: str) -> str:
    """The beginning of `text`, on one line."""
    text = " ".join(text.split())
    return text if len(text) <= SHOWN_CHARS else text[:SHOWN_CHARS] + "…"


async def _stream_answer(
    call: Call,
    messages: tuple[Message, ...],
    provider: Provider,
    progress: Progress,
    show: Show,
    show_wait: ShowWait,
) -> None:
    """Stream an answer that must not be empty. Raises CallFailed."""
    await _stream_within_budget(call, messages, provider, progress, show, show_wait)
    if not progress.text.strip():
        raise EmptyAnswer(_empty_reason(progress))


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
            usage = progress.finish.usage + delta.finish.usage  # an answer may take several requests
            progress.finish = replace(delta.finish, usage=usage)
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
