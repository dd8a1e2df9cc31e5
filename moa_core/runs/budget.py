"""How many tokens a call may take, and how helper responses are cut when they are too many."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from moa_core.config.values import Agent, MoAConfig
from moa_core.errors import MoAError
from moa_core.providers.base import Context, Counting, Wait
from moa_core.runs.prompts import Message
from moa_core.runs.routing import Router
from moa_core.runs.strategy_context import AgentTask

CUT_MARK = " […]"

Count = Callable[[Sequence[Message]], int]


class Contexts:
    """What the agents' models can take, asked at most once per model; None when nobody knows."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._known: dict[tuple[str, str], Context | None] = {}

    async def of(self, agent: Agent, on_wait: Callable[[Wait], None] | None = None) -> Context | None:
        """The context of the agent's model. A model that is not there has none: its call will say why."""
        try:
            provider = await self._router.route(agent)
            key = (provider.name, agent.model)
            if key not in self._known:
                context = None
                if isinstance(provider, Counting):
                    context = await provider.context(agent.model, on_wait)
                self._known[key] = context
        except MoAError:
            return None
        return self._known[key]


async def trim_fairly(
    task: AgentTask, config: MoAConfig, messages: Sequence[Message], contexts: Contexts
) -> tuple[AgentTask, list[str]]:
    """`task` with its responses cut to what its model can take, longest first, and a note per cut."""
    context = await contexts.of(task.agent)
    if context is None or context.n_ctx is None:
        return task, []
    blank = replace(task, responses=("",) * len(task.responses)).filled(config, messages)
    room = context.n_ctx - task.agent.max_tokens - context.count(blank)
    sizes = [count_text(context.count, text) for text in task.responses]
    limit = fair_limit(sizes, max(0, room))
    if limit is None:
        return task, []
    responses, notes = [], []
    for number, (text, size) in enumerate(zip(task.responses, sizes, strict=True), start=1):
        if size > limit:
            text = cut_text(context.count, text, limit)
            notes.append(f"helper response {number} was cut from {size} to {limit} tokens to fit")
        responses.append(text)
    return replace(task, responses=tuple(responses)), notes


def fair_limit(sizes: Sequence[int], room: int) -> int | None:
    """The largest limit with sum(min(size, limit)) <= room; None when everything fits uncut.

    So the longest are cut first, and nothing that is shorter than the limit is touched.
    """
    if sum(sizes) <= room:
        return None
    left = room
    ordered = sorted(sizes)
    for position, size in enumerate(ordered):
        share = left // (len(ordered) - position)
        if size > share:
            return share
        left -= size
    return ordered[-1]


def count_text(count: Count, text: str) -> int:
    """Tokens of `text` alone, without what the template puts around a message."""
    around = count([{"role": "user", "content": ""}])
    return max(0, count([{"role": "user", "content": text}]) - around)


def cut_text(count: Count, text: str, limit: int) -> str:
    """The longest beginning of `text` that has at most `limit` tokens with the mark that it was cut."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if count_text(count, text[:middle].rstrip() + CUT_MARK) <= limit:
            low = middle
        else:
            high = middle - 1
    return text[:low].rstrip() + CUT_MARK if low else ""
