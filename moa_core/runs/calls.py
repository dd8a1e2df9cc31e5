"""One call of a run: stream it, keep thinking apart, hold it to its schema and to its thinking budget."""

from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

from moa_core.config.values import Agent
from moa_core.errors import CallFailed, EmptyAnswer, IncompleteAnswer, ThinkingBudgetSpent
from moa_core.providers.base import CallRequest, Context, Delta, Finish, Provider, Wait
from moa_core.runs.field_by_field import ask_field_by_field
from moa_core.runs.prompts import Message
from moa_core.runs.reasoning import ThinkSplitter
from moa_core.runs.structured import explain_schema, parse_structured
from moa_core.runs.thinking import BUDGETS, USUAL_EFFORT, enforced_budget, lowered, thinking_tokens
from moa_core.runs.trace import CallRecord

STRUCTURE_ATTEMPTS = 2
CHARS_PER_TOKEN = 4  # of English thinking, when a server does not say
ENOUGH_THINKING = "You have thought enough. Give only the final answer now, without any further thinking."


def nobody_hears(*_: object) -> None:
    """A listener for what is not to be shown."""


@dataclass(slots=True)
class AgentCall:
    """A call of a run from its first request to its last: who is asked, how far it has come, who hears of it.

    layer, index: where it stands in the run; role: the part the agent plays; seed: of a seeded run;
    context: what is known of the model.
    clock: seconds since the run began. show(text, reasoning) and show_wait hear every piece as it comes.
    """

    layer: int
    index: int
    agent: Agent
    role: str
    seed: int | None
    clock: Callable[[], float]
    show: Callable[[str, str], None]
    show_wait: Callable[[Wait], None]
    provider: Provider | None = None
    context: Context | None = None
    start_s: float = 0.0
    first_token_s: float | None = None
    text: str = ""
    reasoning: str = ""
    n_thinking: int = 0
    attempts: int = 1
    finish: Finish = field(default_factory=lambda: Finish(reason=""))
    notes: list[str] = field(default_factory=list)
    messages: tuple[Message, ...] = ()

    async def perform(self, messages: tuple[Message, ...]) -> Any:
        """Stream the answer; returns its JSON value when the agent has a schema, else None.

        Raises CallFailed.
        """
        self.messages, schema = messages, self.agent.response_schema
        if schema is None:
            await self.ask(messages)
            return None
        asked, fault = explain_schema(messages, schema), ""
        for attempt in range(1, STRUCTURE_ATTEMPTS + 1):
            await self.ask(asked)
            value, said = parse_structured(self.text, schema)
            if said is None:
                return value
            fault = said
            self.attempts += 1
            self.notes.append(f"attempt {attempt} was no valid answer: {fault}")
            self.show_wait(Wait(f"asked again, because the answer was no valid JSON: {fault}"))
            again = f"That is not valid: {fault}\nAnswer again with the corrected JSON only."
            asked = (*asked, _said(self.text), {"role": "user", "content": again})
        failed = f"no valid JSON after {STRUCTURE_ATTEMPTS} attempts"
        value, self.text = await ask_field_by_field(self._ask_shortly, messages, schema, failed, fault)
        self.notes.append("the answer was asked for field by field")
        return value

    async def ask(self, messages: tuple[Message, ...], agent: Agent | None = None) -> None:
        """One answer that is not empty; `agent`: with these settings instead. Raises CallFailed."""
        agent = agent or self.agent
        if not await self._stream(messages, agent):
            await self._ask_for_the_answer_alone(messages, agent)
        elif not self.text.strip() and self.reasoning.strip():
            await self._ask_with_less_thinking(messages, agent)
        if not self.text.strip():
            raise EmptyAnswer(_empty_reason(self.reasoning, self.finish.reason))

    async def _ask_shortly(self, messages: tuple[Message, ...], max_tokens: int | None, why: str) -> str:
        """A short answer that nobody sees: one value of a form."""
        self.show_wait(Wait(why))
        limit = min(max_tokens or self.agent.max_tokens, self.agent.max_tokens)
        shown, self.show = self.show, nobody_hears
        try:
            await self.ask(messages, replace(self.agent, response_schema=None, max_tokens=limit))
        finally:
            self.show = shown
        return self.text

    async def _ask_for_the_answer_alone(self, messages: tuple[Message, ...], agent: Agent) -> None:
        """A model that thought past its budget is shown its thoughts, and asked once for the answer."""
        budget = enforced_budget(agent, self.context)
        self.attempts += 1
        self.notes.append(f"stopped thinking after its budget of {budget} tokens and asked for the answer")
        self.show_wait(Wait(f"its thinking budget of {budget} tokens is spent; asked for the answer"))
        asked = (*messages, _said(self.reasoning), {"role": "user", "content": ENOUGH_THINKING})
        if not await self._stream(asked, agent):
            raise ThinkingBudgetSpent(
                f"kept thinking past its budget of {budget} tokens, twice, without an answer"
            )

    async def _ask_with_less_thinking(self, messages: tuple[Message, ...], agent: Agent) -> None:
        """A model that only thought, mostly until its tokens were spent, is asked once more: for less of it,
        in more room."""
        is_spent = self.finish.reason == "length"
        if self.context is None or not self.context.takes_effort:
            did = "thought until its tokens were spent" if is_spent else "only thought"
            self.notes.append(f"{did}; asked for the answer alone")
            self.attempts += 1
            asked = (*messages, _said(self.reasoning), {"role": "user", "content": ENOUGH_THINKING})
            await self._stream(asked, agent)
            return
        effort = lowered(agent)
        room = agent.max_tokens + self._thinking_room(messages, agent)
        did = f"thought until its {room} tokens were spent" if is_spent else "only thought"
        told = f"{did}; asked again with the effort {effort}"
        self.notes.append(told)
        self.show_wait(Wait(told))
        self.attempts += 1
        more = self._fitting(max(2 * room, BUDGETS[USUAL_EFFORT]), messages, agent)
        await self._stream(messages, replace(agent, reasoning_effort=effort, thinking_budget=None), more)

    async def _stream(self, messages: tuple[Message, ...], agent: Agent, thinking: int | None = None) -> bool:
        """Stream one request; False when it was cut off because of its thinking budget.

        thinking: tokens for it, other than those that the agent's settings give.
        """
        assert self.provider is not None
        budget = enforced_budget(agent, self.context)
        reader = _StreamReader(self)
        n_attempts = 0
        async with aclosing(_as_generator(self.provider, self._request(messages, agent, thinking))) as deltas:
            async for delta in deltas:
                if delta.wait is not None:
                    self.attempts += max(0, delta.wait.attempts - n_attempts)
                    n_attempts = max(n_attempts, delta.wait.attempts)
                    self.show_wait(delta.wait)
                    continue
                if delta.note:
                    self.notes.append(delta.note)
                answer, thought = reader.take(delta)
                if answer or thought:
                    self.show(answer, thought)
                if delta.finish is not None:
                    return True
                if budget is not None and self.n_thinking > budget and not self.text.strip():
                    return False
        raise IncompleteAnswer("the stream ended early; what came so far is incomplete")

    def _request(self, messages: tuple[Message, ...], agent: Agent, thinking: int | None) -> CallRequest:
        settings = agent.settings()
        if self.seed is not None:
            settings.setdefault("seed", self.seed)
        return CallRequest(
            model=agent.model,
            messages=messages,
            temperature=agent.temperature,
            max_tokens=agent.max_tokens,
            thinking_tokens=self._thinking_room(messages, agent) if thinking is None else thinking,
            response_schema=agent.response_schema,
            **settings,
        )

    def _thinking_room(self, messages: tuple[Message, ...], agent: Agent) -> int:
        """Tokens for thinking, as far as they fit into the context."""
        return self._fitting(thinking_tokens(agent, self.context), messages, agent)

    def _fitting(self, wanted: int, messages: tuple[Message, ...], agent: Agent) -> int:
        """As many of the wanted tokens as the context has room for beside the prompt and the answer."""
        context = self.context
        if not wanted or context is None or context.n_ctx is None:
            return wanted
        return max(0, min(wanted, context.n_ctx - agent.max_tokens - context.count(messages)))

    def record(self, error: CallFailed | None = None) -> CallRecord:
        """The call as it stands, for the trace."""
        usage = self.finish.usage
        thought = usage.reasoning_tokens
        return CallRecord(
            layer=self.layer,
            agent=self.agent.name,
            index=self.index,
            role=self.role,
            provider=self.provider.name if self.provider else "",
            model=self.agent.model,
            start_s=self.start_s,
            end_s=self.clock(),
            first_token_s=self.first_token_s,
            prompt_tokens=usage.prompt_tokens,
            cached_tokens=usage.cached_tokens,
            completion_tokens=usage.completion_tokens,
            reasoning_tokens=thought if thought is not None else self.n_thinking,
            cost_usd=usage.cost_usd,
            queue_s=server_seconds(self.finish.raw, "queue_time"),
            prompt_s=server_seconds(self.finish.raw, "prompt_time"),
            completion_s=server_seconds(self.finish.raw, "completion_time"),
            attempts=self.attempts,
            finish_reason=self.finish.reason or None,
            error=str(error) if error else None,
            text=self.text,
            reasoning=self.reasoning,
            notes=tuple(self.notes),
            timing=self.finish.timing,
            routing=self.finish.routing,
            raw=self.finish.raw,
            messages=self.messages,
        )


class _StreamReader:
    """Keeps a call up to date with one stream: answer and thinking apart, tokens counted, times taken."""

    def __init__(self, call: AgentCall) -> None:
        self._call = call
        self._splitter = ThinkSplitter()
        self._told = ""  # thinking that the provider itself kept apart
        call.n_thinking = 0

    def take(self, delta: Delta) -> tuple[str, str]:
        """The answer text and the thinking that `delta` adds."""
        call, splitter = self._call, self._splitter
        answer, thinking = splitter.feed(delta.text) if delta.text else ("", "")
        if delta.reasoning:
            self._told += delta.reasoning
            thinking += delta.reasoning
        if delta.finish is not None:
            rest = splitter.finish()
            answer, thinking = answer + rest[0], thinking + rest[1]
            usage = call.finish.usage + delta.finish.usage  # an answer may take several requests
            call.finish = replace(delta.finish, usage=usage)
        if thinking:
            call.n_thinking += _count(delta, thinking)
        if (answer or thinking) and call.first_token_s is None:
            call.first_token_s = call.clock()
        call.text = splitter.text
        call.reasoning = self._told + splitter.reasoning
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


def server_seconds(raw: Mapping[str, Any], name: str) -> float | None:
    """One of the times that a server reports beside its answer (`time_info`), in seconds."""
    times = raw.get("time_info")
    value = times.get(name) if isinstance(times, Mapping) else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _said(text: str) -> Message:
    return {"role": "assistant", "content": text}


def _count(delta: Delta, thinking: str) -> int:
    """Tokens of a piece of thinking: as the provider says, else estimated."""
    return max(1, len(thinking) // CHARS_PER_TOKEN) if delta.n_tokens is None else delta.n_tokens


def _empty_reason(reasoning: str, finish_reason: str) -> str:
    if finish_reason in ("tool_calls", "function_call"):
        return "it called a tool instead of answering; tell it in its prompt to answer in words"
    if finish_reason == "content_filter":
        return "the server's content filter held the answer back"
    if reasoning.strip():
        return "it only thought and gave no answer; allow more max_tokens or set a thinking budget"
    return "the answer is empty"
