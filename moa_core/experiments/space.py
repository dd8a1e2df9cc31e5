"""What a search may change about a setup, and the setup that a choice comes to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

from moa_core.config.values import MoAConfig
from moa_core.errors import ExperimentError
from moa_core.runs.prompts import HELPER_PLACEHOLDER
from moa_core.strategies import find_strategy

Choice = Mapping[str, Any]
FRAGMENT = "fragment: "
REWRITE = "rewritten prompt"

FRAGMENTS: Mapping[str, str] = {
    "distrust data": "Items may be of the wrong type, keys may be missing, values may be None or text: "
    "leave such an item out, and never crash.",
    "edge cases first": "First think of empty input, a single item, ties and zero divisors, and handle them.",
    "leave the input alone": "Never change what the caller gave: build new lists and dicts.",
    "exactly what is asked": "Return exactly the keys and types that the task names, nothing else.",
    "check by an example": "Go through one small example in your mind and correct the code if it fails.",
    "short code": "Write short, plain code with early returns.",
}
"""A library of sentences that a prompt may be made of."""


@dataclass(frozen=True, slots=True)
class Space:
    """The ticked choices; an empty one leaves the setup as it is.

    temperatures: of all agents but the summarizer (of that too where it answers alone). agents: in each
    layer. fragments: sentences by name, each in or out of every agent's prompt. rewrites: how many times
    `rewriter` (a model) may write the agents' prompt anew after reading what failed.
    """

    models: tuple[str, ...] = ()
    temperatures: tuple[float, ...] = ()
    agents: tuple[int, ...] = ()
    cycles: tuple[int, ...] = ()
    strategies: tuple[str, ...] = ()
    fragments: Mapping[str, str] = field(default_factory=dict)
    rewrites: int = 0
    rewriter: str = ""

    @property
    def dimensions(self) -> dict[str, tuple[Any, ...]]:
        """What is chosen from, by name; dimensions with a single value are left out."""
        found: dict[str, tuple[Any, ...]] = {
            "model": self.models,
            "temperature": self.temperatures,
            "agents": self.agents,
            "cycles": self.cycles,
            "strategy": self.strategies,
        }
        found |= {f"{FRAGMENT}{name}": (False, True) for name in self.fragments}
        if self.rewrites:
            found[REWRITE] = (0, *range(1, self.rewrites + 1))
        return {name: tuple(dict.fromkeys(values)) for name, values in found.items() if len(set(values)) > 1}

    @property
    def size(self) -> int:
        """How many setups there are."""
        return prod(len(values) for values in self.dimensions.values())

    def check(self, base: MoAConfig) -> None:
        """Raise ExperimentError for a space with one point, ConfigError for one with an impossible value."""
        if self.size < 2:
            raise ExperimentError(
                "there is only one setup in this search space, so there is nothing to search; tick a second "
                "model, temperature, number of agents or prompt, or ask for its spread instead"
            )
        if self.rewrites and not self.rewriter:
            raise ExperimentError("prompts are to be rewritten, but no model is named that does it")
        for name, values in self.dimensions.items():
            for value in values:
                self.configured(base, {name: value})

    def configured(self, base: MoAConfig, choice: Choice, rewritten: str = "") -> MoAConfig:
        """The setup that a choice comes to. rewritten: the agents' prompt, where the choice asks for it.

        Raises ConfigError where a value is not allowed.
        """
        values = {**{name: only[0] for name, only in self._fixed()}, **choice}
        data = base.to_dict()
        if "strategy" in values:
            data["strategy"] = find_strategy(str(values["strategy"])).name
        if "cycles" in values:
            data["cycles"] = values["cycles"]
        if "agents" in values:
            for layer in data["layers"]:
                layer["agents"] = _repeated(layer["agents"], int(values["agents"]))
        agents = list(_workers(data))
        if "temperature" in values:
            for agent in agents:
                agent["temperature"] = values["temperature"]
        if "model" in values:
            for agent in (*agents, data["summarizer"], *data["roles"].values()):
                agent["model"] = values["model"]
        added = [text for name, text in self.fragments.items() if values.get(f"{FRAGMENT}{name}")]
        for agent in agents:
            agent["prompt"] = _prompt(agent["prompt"], added, rewritten)
        data["name"] = describe(choice) or base.name
        return MoAConfig.from_json(data)

    def _fixed(self) -> Iterator[tuple[str, tuple[Any, ...]]]:
        """Choices with a single value, which is then that of every setup."""
        pairs = {
            "model": self.models, "temperature": self.temperatures, "agents": self.agents,
            "cycles": self.cycles, "strategy": self.strategies,
        }  # fmt: skip
        return ((name, values) for name, values in pairs.items() if len(set(values)) == 1)


def describe(choice: Choice) -> str:
    """A choice in a line: "single, 0.7, distrust data"."""
    words = []
    for name, value in choice.items():
        if name.startswith(FRAGMENT):
            words += [name.removeprefix(FRAGMENT)] if value else []
        elif name == REWRITE:
            words += [f"rewrite {value}"] if value else []
        elif name in ("agents", "cycles"):
            words.append(f"{value} {name if value != 1 else name[:-1]}")
        else:
            words.append(f"T {value:g}" if name == "temperature" else " ".join(str(value).split()))
    return ", ".join(words)


def _repeated(agents: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """`count` agents: the first ones, or all of them over again under names of their own."""
    found = []
    for number in range(count):
        agent = dict(agents[number % len(agents)])
        if number >= len(agents):
            agent["name"] = f"{agent['name']} {number // len(agents) + 1}"
        found.append(agent)
    return found


def _workers(data: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The agents that propose answers: the layers' and the roles', else the one that answers alone."""
    own = [agent for layer in data["layers"] for agent in layer["agents"]]
    own += [agent for role, agent in data["roles"].items() if role not in ("judge", "critic")]
    if not own or data["strategy"] == "single":
        own.append(data["summarizer"])
    return iter(own)


def _prompt(prompt: str, added: list[str], rewritten: str) -> str:
    """The prompt, or what it was rewritten to, with sentences added; its placeholder stays."""
    if rewritten:
        holder = f"\n\n{HELPER_PLACEHOLDER}" if HELPER_PLACEHOLDER in prompt else ""
        prompt = f"{rewritten.replace(HELPER_PLACEHOLDER, '').strip()}{holder}"
    return " ".join([prompt, *added]).strip() if added else prompt
