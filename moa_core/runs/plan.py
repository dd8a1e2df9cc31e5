"""What each call of a run will receive at most, and whether it fits: known before the first call.

The strategy is run dry: in a context where every answer is a marker for "at most max_tokens
tokens". So the plan cannot drift from what the strategy does. Counts are the model's own tokenizer's where it
runs in this process, else an estimate, which the table says. A helper's answer counts in the tokens of the
model that writes it.
"""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moa_core.config.shortest_answer import shortest_answer
from moa_core.config.values import MoAConfig
from moa_core.errors import RequestRefused, RunRefused
from moa_core.providers.base import Context, Provider, Wait, estimate_tokens
from moa_core.runs.budget import Contexts, count_text
from moa_core.runs.prompts import Message, check_messages
from moa_core.runs.routing import Router
from moa_core.runs.strategy_context import MAX_FEEDBACK_CHARS, SUMMARIZER, AgentResult, AgentTask, Checked
from moa_core.runs.structured import explain_schema
from moa_core.runs.thinking import thinking_tokens
from moa_core.strategies import find_strategy

if TYPE_CHECKING:
    import pandas as pd

MAX_SAMPLED = 2000  # values in a sample of a structured answer; strategies' own schemas need far fewer
MIN_HELPER_TOKENS = 32  # what a helper response that may be trimmed must keep at least
_MARK = re.compile("\x02(\\d+)\x03")


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """One call to come. prompt_tokens: what is known now; helper_tokens: earlier answers at most.

    thinking_tokens: what it may think beside its answer, as far as it fits. cost_usd: at most, None where no
    price is known. total_tokens includes max_tokens, not thinking. n_ctx is None when nobody knows it; fits
    is then None too. is_exact: counted by the model's own tokenizer.
    """

    layer: int
    agent: str
    role: str
    provider: str
    model: str
    prompt_tokens: int
    helper_tokens: int
    max_tokens: int
    n_ctx: int | None
    is_exact: bool
    may_trim: bool = False
    n_helpers: int = 0
    thinking_tokens: int = 0
    cost_usd: float | None = None

    @property
    def total_tokens(self) -> int:
        """Prompt, helper responses and answer, at most."""
        return self.prompt_tokens + self.helper_tokens + self.max_tokens

    @property
    def fits(self) -> bool | None:
        """Whether it fits, None when the context is unknown; what may be trimmed counts at its least."""
        if self.n_ctx is None:
            return None
        helper = (
            min(self.helper_tokens, self.n_helpers * MIN_HELPER_TOKENS)
            if self.may_trim
            else self.helper_tokens
        )
        return self.prompt_tokens + helper + self.max_tokens <= self.n_ctx

    @property
    def label(self) -> str:
        """Where the call stands, in words."""
        return "the summarizer" if self.role == SUMMARIZER else f"{self.agent} in layer {self.layer}"


@dataclass(frozen=True, slots=True)
class Plan:
    """Every call of a run in order. messages: the conversation, without its `dropped_turns` oldest turns.

    prompt_notes: what some models' conversations go through before they are given them.
    """

    calls: tuple[PlannedCall, ...]
    messages: tuple[Message, ...]
    dropped_turns: int = 0
    cycles: int = 1
    prompt_notes: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether no call is known not to fit."""
        return all(call.fits is not False for call in self.calls)

    @property
    def cost_usd(self) -> float | None:
        """US dollars at most, of the calls whose price is known; None when no price is."""
        costs = [call.cost_usd for call in self.calls if call.cost_usd is not None]
        return sum(costs) if costs else None

    @property
    def notes(self) -> tuple[str, ...]:
        """What the reader must know about the plan."""
        if not self.dropped_turns:
            return self.prompt_notes
        turns = "turn was" if self.dropped_turns == 1 else f"{self.dropped_turns} turns were"
        dropped = f"The oldest {turns} left out of the conversation, to fit into the models' context."
        return (dropped, *self.prompt_notes)

    def check(self) -> None:
        """Raise RunRefused for the first call that does not fit, with the remedies."""
        broken = next((call for call in self.calls if call.fits is False), None)
        if broken is None or broken.n_ctx is None:
            return
        about = "" if broken.is_exact else "about "
        remedies = ["smaller max_tokens"]
        if broken.helper_tokens:
            remedies = ["fewer agents", *(["fewer cycles"] if self.cycles > 1 else []), *remedies]
            remedies += [] if broken.may_trim else ["allowing helper responses to be trimmed"]
        raise RunRefused(
            f"this run cannot fit: {broken.label} may receive up to {about}{broken.total_tokens:,} tokens "
            f"(prompt {broken.prompt_tokens:,}, earlier answers up to {broken.helper_tokens:,}, its own "
            f"answer up to {broken.max_tokens:,}), but {broken.model} holds {broken.n_ctx:,}. "
            f"Remedies: {', '.join(remedies)}, or a model with a larger context",
            broken.label,
            broken.total_tokens,
            broken.n_ctx,
        )

    def to_dataframe(self) -> "pd.DataFrame":
        """One row per call, ready to be shown."""
        import pandas as pd

        names = (
            "layer",
            "agent",
            "role",
            "provider",
            "model",
            "prompt_tokens",
            "helper_tokens",
            "max_tokens",
        )
        more = ("thinking_tokens", "total_tokens", "n_ctx", "fits", "is_exact", "cost_usd")
        rows = [{name: getattr(call, name) for name in (*names, *more)} for call in self.calls]
        return pd.DataFrame(rows, columns=[*names, *more]).astype(
            {"n_ctx": "Int64", "fits": "boolean", "cost_usd": "float64"}
        )


@dataclass(frozen=True, slots=True)
class DryCall:
    """A call as the dry run saw it: what it will receive, markers in place of the answers to come."""

    layer: int
    task: AgentTask
    messages: tuple[Message, ...]


class DryRun:
    """A context where nobody is asked: every answer is a marker of its greatest length."""

    def __init__(self, config: MoAConfig, messages: tuple[Message, ...]) -> None:
        self.config = config
        self.messages = messages
        self.calls: list[DryCall] = []
        self.n_layers = 0

    def note(self, text: str) -> None:
        """Nobody reads it."""

    def publish(self, answer: str) -> None:
        """Nobody sees it."""

    async def layer(self, tasks: Sequence[AgentTask], title: str = "") -> list[AgentResult]:
        self.n_layers += 1
        return [self._answer(self.n_layers, task) for task in tasks]

    async def check(self, answers: Sequence[AgentResult]) -> list[Checked]:
        """All answers fail, with as much to say as a model may see."""
        return [Checked(0.0, "failed " * (MAX_FEEDBACK_CHARS // 7)) for _ in answers]

    async def summarize(self, responses: Sequence[str]) -> str:
        task = AgentTask(self.config.summarizer, tuple(responses), role=SUMMARIZER)
        return self._answer(self.n_layers + 1, task).text

    def _answer(self, layer: int, task: AgentTask) -> AgentResult:
        messages, schema = task.filled(self.config, self.messages), task.agent.response_schema
        if schema is not None:
            messages = explain_schema(messages, schema)
        self.calls.append(DryCall(layer, task, messages))
        text = f"\x02{task.agent.max_tokens}\x03"
        return AgentResult(task.agent, text, value=None if schema is None else _Sampler(text).value(schema))


async def dry_run(config: MoAConfig, messages: tuple[Message, ...]) -> DryRun:
    """Run the strategy without asking anybody."""
    dry = DryRun(config, messages)
    await find_strategy(config.strategy).answer(dry)
    return dry


async def plan(
    config: MoAConfig, messages: str | Sequence[Message], providers: Provider | Sequence[Provider]
) -> Plan:
    """The plan of a run; models of this process are loaded for it, servers are asked for their lists.

    The oldest turns are left out of the conversation as far as needed. Raises InvalidMessages, ConfigError,
    and RequestRefused where a model cannot be held to an agent's JSON Schema.
    """
    router = Router(providers)
    try:
        for provider in router.providers:
            await router.learn(provider)
        return await make_plan(config, check_messages(messages), router, Contexts(router))
    finally:
        await router.aclose()


def plan_sync(
    config: MoAConfig, messages: str | Sequence[Message], providers: Provider | Sequence[Provider]
) -> Plan:
    """`plan` for code without an event loop."""
    return asyncio.run(plan(config, messages, providers))


async def make_plan(
    config: MoAConfig,
    messages: tuple[Message, ...],
    router: Router,
    contexts: Contexts,
    on_wait: Callable[[Wait], None] | None = None,
    dry: DryRun | None = None,
) -> Plan:
    """The plan with as few of the oldest turns left out as needed, or none when even that does not help."""
    turns = split_turns(messages)
    dry = dry or await dry_run(config, messages)
    await _check_schemas(dry, contexts, on_wait)
    first = await _plan_of(dry, 0, router, contexts, on_wait)
    if first.fits or len(turns) == 1:
        return first
    low, high = 1, len(turns) - 1
    best = await _plan_without(high, turns, config, router, contexts, on_wait)
    if not best.fits:
        return first
    while low < high:
        middle = (low + high) // 2
        candidate = await _plan_without(middle, turns, config, router, contexts, on_wait)
        low, high, best = (low, middle, candidate) if candidate.fits else (middle + 1, high, best)
    return best


def split_turns(messages: Sequence[Message]) -> list[tuple[Message, ...]]:
    """The conversation as turns that each begin with the user; system messages stay with the last."""
    turns: list[list[Message]] = [[]]
    system = [message for message in messages if message["role"] == "system"]
    for message in messages:
        if message["role"] == "user" and turns[-1]:
            turns.append([])
        if message["role"] != "system":
            turns[-1].append(message)
    turns[-1] = [*system, *turns[-1]]
    return [tuple(turn) for turn in turns]


async def _check_schemas(dry: DryRun, contexts: Contexts, on_wait: Callable[[Wait], None] | None) -> None:
    """Raise RequestRefused for an agent whose model cannot be held to its schema, before anybody is asked."""
    for agent in {id(call.task.agent): call.task.agent for call in dry.calls}.values():
        if agent.response_schema is not None:
            context = await contexts.of(agent, on_wait)
            if context is None or context.check_schema is None:
                continue
            try:
                await asyncio.to_thread(context.check_schema, agent.response_schema)
            except RequestRefused as exc:
                raise RequestRefused(f"agent {agent.name!r}, {exc}", exc.status) from exc
            n_tokens = count_text(context.count, shortest_answer(agent.response_schema).text())
            if n_tokens > agent.max_tokens:
                raise RequestRefused(
                    f"agent {agent.name!r}: the shortest answer that fits its response_schema takes about "
                    f"{n_tokens:,} tokens, and its token limit is {agent.max_tokens:,}; raise the limit", 400,
                )  # fmt: skip


async def _plan_without(
    dropped: int,
    turns: Sequence[tuple[Message, ...]],
    config: MoAConfig,
    router: Router,
    contexts: Contexts,
    on_wait: Callable[[Wait], None] | None,
) -> Plan:
    messages = tuple(message for turn in turns[dropped:] for message in turn)
    return await _plan_of(await dry_run(config, messages), dropped, router, contexts, on_wait)


async def _plan_of(
    dry: DryRun,
    dropped: int,
    router: Router,
    contexts: Contexts,
    on_wait: Callable[[Wait], None] | None,
) -> Plan:
    calls = []
    notes: dict[str, None] = {}  # in order, each once
    for call in dry.calls:
        context = await contexts.of(call.task.agent, on_wait)
        calls.append(await _planned(call, dry.config, router, context))
        notes |= dict.fromkeys(
            f"{call.task.agent.model}: {note}." for note in (context.notes if context else ())
        )
    return Plan(tuple(calls), dry.messages, dropped, dry.config.cycles, tuple(notes))


async def _planned(call: DryCall, config: MoAConfig, router: Router, context: Context | None) -> PlannedCall:
    agent, task = call.task.agent, call.task
    text = "".join(message["content"] for message in call.messages)
    sizes = [int(size) for size in _MARK.findall(text)]
    plain = [{**message, "content": _MARK.sub("", message["content"])} for message in call.messages]
    prompt, helpers = (context.count if context else estimate_tokens)(plain), sum(sizes)
    thinking = thinking_tokens(agent, context)
    if context is not None and context.n_ctx is not None:
        thinking = max(0, min(thinking, context.n_ctx - prompt - helpers - agent.max_tokens))
    price = context.info.price if context and context.info else None
    return PlannedCall(
        layer=call.layer,
        agent=agent.name,
        role=task.role,
        provider=await router.name_for(agent),
        model=agent.model,
        prompt_tokens=prompt,
        helper_tokens=helpers,
        max_tokens=agent.max_tokens,
        n_ctx=context.n_ctx if context else None,
        is_exact=bool(context and context.is_exact),
        may_trim=config.trim_helpers and bool(task.responses),
        n_helpers=len(sizes),
        thinking_tokens=thinking,
        cost_usd=price.cost_usd(prompt + helpers, 0, agent.max_tokens + thinking) if price else None,
    )


class _Sampler:
    """Makes a value of a schema's shape with a text as its first text, for the dry run.

    A schema may come from a stranger: lists in lists of lists make no large value, they end at MAX_SAMPLED.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._n_left = MAX_SAMPLED

    def value(self, schema: Any) -> Any:
        """The value; None where the schema does not say what it is."""
        self._n_left -= 1
        if self._n_left < 0 or not isinstance(schema, Mapping):
            return None
        kind = schema.get("type")
        if kind == "object":
            return {name: self.value(inner) for name, inner in schema.get("properties", {}).items()}
        if kind == "array":
            n_items = min(schema.get("minItems", 0), self._n_left)
            return [self.value(schema.get("items")) for _ in range(n_items)]
        if kind in ("integer", "number"):
            return schema.get("minimum", 0)
        if kind != "string":
            return None
        text, self._text = self._text, ""
        return text
