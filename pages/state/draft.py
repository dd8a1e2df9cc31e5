"""The setup while it is being edited: agents with stable ids, in layers, turned into a MoAConfig on demand.

Plain data, knows nothing of Streamlit. What the editor does not show (roles, options, seeds ...) is kept in
`base` and in each agent's `origin`, so that an imported configuration loses nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from moa_core import Agent, ConfigError, MoAConfig
from moa_core.config.formats import FORMAT, VERSION
from moa_core.config.values import Layer

T = TypeVar("T")

NEW_AGENT_PROMPT = "You are a helpful assistant. Answer the question clearly and correctly."
NEXT_LAYER_PROMPT = (
    "Write one better answer to the question. Keep what is correct in these answers:\n\n{helper_response}"
)


EDITED: Mapping[str, type] = {
    "name": str,
    "model": str,
    "prompt": str,
    "temperature": float,
    "max_tokens": int,
}
"""What the editor shows of an agent."""


@dataclass
class AgentDraft:
    """One agent in the editor. `uid` never changes, so widgets can be keyed by it."""

    uid: int
    name: str
    model: str
    prompt: str
    temperature: float
    max_tokens: int
    origin: Agent
    reasoning_effort: str | None = None

    def to_plain(self) -> dict[str, Any]:
        """The fields as JSON data, and the agent that they were edited from."""
        more = {"origin": self.origin.to_dict(), "reasoning_effort": self.reasoning_effort}
        return {name: getattr(self, name) for name in EDITED} | more

    def to_agent(self) -> Agent:
        """Raises ConfigError where a value is not allowed."""
        return replace(
            self.origin,
            name=self.name.strip(),
            model=self.model,
            prompt=self.prompt,
            temperature=self.temperature,
            max_tokens=self.max_tokens,
            reasoning_effort=self.reasoning_effort,
        )


@dataclass
class LayerDraft:
    """One layer in the editor; it may be empty for a while."""

    uid: int
    agents: list[AgentDraft] = field(default_factory=list)


class Draft:
    """An editable copy of a MoAConfig. `version` grows with every `load`."""

    def __init__(self, config: MoAConfig) -> None:
        self._uids = itertools.count(1)
        self.version = 0
        self.load(config)

    def load(self, config: MoAConfig) -> None:
        """Start over from `config`; every agent gets a new id."""
        self.base = config
        self.version += 1
        self.cycles = config.cycles
        self.layers = [
            LayerDraft(next(self._uids), [self._draft(agent) for agent in layer.agents])
            for layer in config.layers
        ]
        self.summarizer = self._draft(config.summarizer)

    def to_config(self) -> MoAConfig:
        """The setup as it stands; raises ConfigError that says what is missing and where."""
        return replace(
            self.base,
            layers=tuple(
                Layer(
                    tuple(
                        _checked(agent, f"agent {place} of agent layer {number}")
                        for place, agent in enumerate(layer.agents, start=1)
                    )
                )
                for number, layer in enumerate(self.layers, start=1)
            ),
            summarizer=_checked(self.summarizer, "the summarizer"),
            cycles=self.cycles,
            notes=(),
        )

    def to_plain(self) -> dict[str, Any]:
        """The draft as JSON data, complete or not: what undo and the keeping of a session are made of."""
        return {
            "base": replace(self.base, notes=()).to_dict(),
            "cycles": self.cycles,
            "layers": [[agent.to_plain() for agent in layer.agents] for layer in self.layers],
            "summarizer": self.summarizer.to_plain(),
        }

    def restore(self, plain: Mapping[str, Any]) -> None:
        """Be what `to_plain` wrote; every agent gets a new id. Raises ConfigError, KeyError or TypeError."""
        base = MoAConfig.from_json(plain["base"])
        layers = [[self._restored(agent) for agent in layer] for layer in plain["layers"]]
        summarizer, cycles = self._restored(plain["summarizer"]), int(plain["cycles"])
        self.base, self.summarizer, self.cycles = base, summarizer, cycles
        self.layers = [LayerDraft(next(self._uids), agents) for agents in layers]
        self.version += 1

    def _restored(self, plain: Mapping[str, Any]) -> AgentDraft:
        shell = {"format": FORMAT, "version": VERSION, "layers": [], "summarizer": plain["origin"]}
        values = {name: kind(plain[name]) for name, kind in EDITED.items()}
        origin, effort = MoAConfig.from_json(shell).summarizer, plain.get("reasoning_effort")
        return AgentDraft(uid=next(self._uids), origin=origin, reasoning_effort=effort, **values)

    def use_strategy(self, name: str) -> None:
        """Get the answer another way; its options begin at their defaults."""
        self.base = replace(self.base, strategy=name, options={})

    def set_option(self, name: str, value: int) -> None:
        """A number that the strategy takes."""
        self.base = replace(self.base, options={**self.base.options, name: value})

    def use_model(self, model: str) -> None:
        """Give every agent this model; new ids, so that their widgets show it."""
        for agent in self.agents:
            agent.model, agent.uid = model, next(self._uids)

    @property
    def agents(self) -> Iterator[AgentDraft]:
        """The layers' agents in order, then the summarizer."""
        for layer in self.layers:
            yield from layer.agents
        yield self.summarizer

    def agent(self, uid: int) -> AgentDraft:
        """The agent with this id; KeyError when it was removed."""
        for agent in self.agents:
            if agent.uid == uid:
                return agent
        raise KeyError(uid)

    def layer(self, uid: int) -> LayerDraft:
        """The layer with this id; KeyError when it was removed."""
        for layer in self.layers:
            if layer.uid == uid:
                return layer
        raise KeyError(uid)

    def add_layer(self) -> LayerDraft:
        """A new last layer with one agent."""
        prompt = NEXT_LAYER_PROMPT if self.layers else NEW_AGENT_PROMPT
        layer = LayerDraft(next(self._uids))
        self.layers.append(layer)
        self._append_new(layer, prompt)
        return layer

    def duplicate_layer(self, uid: int) -> LayerDraft:
        """A copy of the layer right after it."""
        source = self.layer(uid)
        copy = LayerDraft(next(self._uids), [replace(agent, uid=next(self._uids)) for agent in source.agents])
        self.layers.insert(self.layers.index(source) + 1, copy)
        return copy

    def remove_layer(self, uid: int) -> None:
        """Remove the layer and its agents."""
        self.layers.remove(self.layer(uid))

    def move_layer(self, uid: int, step: int) -> None:
        """Move the layer `step` places on (negative: back), at most to the end."""
        _move(self.layers, self.layer(uid), step)

    def add_agent(self, layer_uid: int) -> AgentDraft:
        """A new last agent in the layer, like the agent before it but with a name of its own."""
        layer = self.layer(layer_uid)
        is_first = self.layers.index(layer) == 0
        return self._append_new(layer, NEW_AGENT_PROMPT if is_first else NEXT_LAYER_PROMPT)

    def duplicate_agent(self, uid: int) -> AgentDraft:
        """A copy of the agent right after it, under a free name."""
        layer, agent = self._home(uid)
        copy = replace(agent, uid=next(self._uids), name=_free_name(agent.name, layer))
        layer.agents.insert(layer.agents.index(agent) + 1, copy)
        return copy

    def remove_agent(self, uid: int) -> None:
        """Remove the agent; its layer may be left empty."""
        layer, agent = self._home(uid)
        layer.agents.remove(agent)

    def move_agent(self, uid: int, step: int) -> None:
        """Move the agent within its layer; past its end it goes on into the neighbouring layer."""
        layer, agent = self._home(uid)
        place = layer.agents.index(agent) + step
        if 0 <= place < len(layer.agents):
            _move(layer.agents, agent, step)
            return
        neighbour = self.layers.index(layer) + (1 if step > 0 else -1)
        if 0 <= neighbour < len(self.layers):
            target = self.layers[neighbour]
            layer.agents.remove(agent)
            name = _free_name(agent.name, target)
            if name != agent.name:
                agent.name, agent.uid = (
                    name,
                    next(self._uids),
                )  # a new id, so that its widgets show the new name
            target.agents.insert(0 if step > 0 else len(target.agents), agent)

    def can_move_agent(self, uid: int, step: int) -> bool:
        """Whether `move_agent` would move it: there is a place in its layer, or a layer on that side."""
        layer, agent = self._home(uid)
        is_inside = 0 <= layer.agents.index(agent) + step < len(layer.agents)
        return is_inside or 0 <= self.layers.index(layer) + (1 if step > 0 else -1) < len(self.layers)

    def _append_new(self, layer: LayerDraft, prompt: str) -> AgentDraft:
        model = layer.agents[-1].model if layer.agents else self.summarizer.model
        agent = self._draft(Agent(_free_name("Agent", layer), model, prompt, 0.7, 256))
        layer.agents.append(agent)
        return agent

    def _draft(self, agent: Agent) -> AgentDraft:
        values = (agent.name, agent.model, agent.prompt, agent.temperature, agent.max_tokens)
        return AgentDraft(next(self._uids), *values, origin=agent, reasoning_effort=agent.reasoning_effort)

    def _home(self, uid: int) -> tuple[LayerDraft, AgentDraft]:
        for layer in self.layers:
            for agent in layer.agents:
                if agent.uid == uid:
                    return layer, agent
        raise KeyError(uid)


def _checked(agent: AgentDraft, where: str) -> Agent:
    """The agent; raises ConfigError that says which one is not complete."""
    try:
        return agent.to_agent()
    except ConfigError as exc:
        raise ConfigError(str(exc).removeprefix(f"{exc.path}: "), where) from exc


def _free_name(name: str, layer: LayerDraft) -> str:
    """`name` if the layer has no such agent, else with the next free number."""
    taken = {agent.name for agent in layer.agents}
    stem = name.rstrip("0123456789").rstrip() or name
    candidates = itertools.chain([name], (f"{stem} {number}" for number in itertools.count(2)))
    return next(candidate for candidate in candidates if candidate not in taken)


def _move(items: list[T], item: T, step: int) -> None:
    place = items.index(item)
    items.remove(item)
    items.insert(max(0, min(len(items), place + step)), item)
