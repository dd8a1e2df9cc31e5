"""A Mixture of Agents as a value: agents in layers and a summarizer, checked when built, JSON in and out."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from moa_core.config.formats import FORMAT, VERSION, normalise
from moa_core.config.model_names import ModelSuggestion, misspelling_note, replacement
from moa_core.config.response_schema import check_response_schema
from moa_core.config.sampling import MAX_SEED, Sampling, check_number
from moa_core.errors import ConfigError
from wse_backend.models import DEFAULT_MODEL

DEFAULT_TEMPERATURE = 0.7
DEFAULT_MAX_TOKENS = 1024
MAX_TOKENS = 1_000_000  # more than any model writes
MAX_TEMPERATURE = 2.0
MAX_CYCLES = 20
MAX_LAYERS = 50
MAX_AGENTS = 200  # in all layers together, and in roles: each is a call, and a form on a page
MAX_NAME_CHARS = 4096  # of an agent and of a model, which may be a path
PROMPT_ORDERS = ("instruction_first", "instruction_last")


@dataclass(frozen=True, slots=True)
class Agent(Sampling):
    """One model with one prompt, and how it is asked to choose its tokens (see `Sampling`).

    prompt: the system prompt; `{helper_response}` in it stands for the earlier answers.
    max_tokens: how much it may answer. thinking_budget: how much it may think before (None: as
    `reasoning_effort` allows). provider: the only provider that may serve it; None: the first that has the
    model. response_schema: a JSON Schema that the answer must fit. pass_reasoning: thinking goes to the next
    layer too. extra: keys of an imported configuration that mean nothing here, kept.
    """

    name: str
    model: str = DEFAULT_MODEL
    prompt: str = ""
    temperature: float = DEFAULT_TEMPERATURE
    max_tokens: int = DEFAULT_MAX_TOKENS
    provider: str | None = None
    thinking_budget: int | None = None
    pass_reasoning: bool = False
    response_schema: Mapping[str, Any] | None = field(default=None, hash=False)
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        where = f"agent {self.name!r}"
        if not isinstance(self.name, str) or not self.name.strip():
            raise ConfigError(f"the name is {self.name!r}; give every agent a name", "agent")
        if not isinstance(self.model, str) or not self.model.strip():
            raise ConfigError(f"the model is {self.model!r}; choose one", where)
        if max(len(self.name), len(self.model)) > MAX_NAME_CHARS:
            raise ConfigError(
                f"a name has at most {MAX_NAME_CHARS:,} characters", f"agent {self.name[:40]!r}"
            )
        self.check_sampling(where)
        check_number(where, "temperature", self.temperature, 0.0, MAX_TEMPERATURE)
        check_number(where, "max_tokens", self.max_tokens, 1, MAX_TOKENS, is_whole=True)
        if self.thinking_budget is not None:
            check_number(where, "thinking_budget", self.thinking_budget, 0, MAX_TOKENS, is_whole=True)
        if self.response_schema is not None:
            check_response_schema(self.response_schema, f"{where}: response_schema")
        object.__setattr__(self, "temperature", float(self.temperature))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data; what is not set is left out."""
        always = ("name", "model", "prompt", "temperature", "max_tokens", "top_p")
        data: dict[str, Any] = {name: getattr(self, name) for name in always}
        for item in fields(self):
            value = getattr(self, item.name)
            is_set = value is not None and value is not False and value != ()
            is_set = is_set and (value != {} or item.name == "response_schema")  # {} takes any JSON
            if item.name not in data and is_set:
                data[item.name] = list(value) if isinstance(value, tuple) else value
        return data


@dataclass(frozen=True, slots=True)
class Layer:
    """Agents that answer at the same time."""

    agents: tuple[Agent, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "agents", tuple(self.agents))
        if not self.agents:
            raise ConfigError("a layer has no agents; add an agent or remove the layer", "layer")

    @property
    def names(self) -> tuple[str, ...]:
        """The agents' names, in order."""
        return tuple(agent.name for agent in self.agents)


def _default_summarizer() -> Agent:
    return Agent("Summarizer")


@dataclass(frozen=True, slots=True)
class MoAConfig:
    """Layers, how often they are gone through (`cycles`), the summarizer, and the strategy that uses them.

    strategy, options: see `moa_core.strategies`; roles: agents with a part of their own there (planner,
    critic, judge). reference_prompt: wraps the numbered helper responses at `{responses}`; empty: numbers
    only. prompt_order: whether an agent's prompt stands before what all agents of a layer are given, as the
    system prompt ("instruction_first"), or after it ("instruction_last", which an engine computes faster).
    trim_helpers: helper responses that do not fit may be cut, longest first. seed: makes a run
    repeatable. notes: what had to be said when this was read (no part of equality or of the export).
    """

    layers: tuple[Layer, ...] = ()
    summarizer: Agent = field(default_factory=_default_summarizer)
    cycles: int = 1
    name: str = ""
    description: str = ""
    strategy: str = "layered"
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    roles: Mapping[str, Agent] = field(default_factory=dict, hash=False)
    reference_prompt: str = ""
    prompt_order: str = "instruction_first"
    trim_helpers: bool = False
    seed: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)
    notes: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        check_number("config", "cycles", self.cycles, 1, MAX_CYCLES, is_whole=True)
        if self.prompt_order not in PROMPT_ORDERS:
            allowed = ", ".join(PROMPT_ORDERS)
            raise ConfigError(f"prompt_order is {self.prompt_order!r}; allowed: {allowed}", "config")
        if self.seed is not None:
            check_number("config", "seed", self.seed, -MAX_SEED, MAX_SEED, is_whole=True)
        self._check_size()
        notes = list(self.notes)
        layers = []
        for number, layer in enumerate(self.layers, start=1):
            layer = layer if isinstance(layer, Layer) else Layer(tuple(layer))
            layers.append(Layer(_unique_names(layer.agents, f"layer {number}", notes)))
        object.__setattr__(self, "layers", tuple(layers))
        object.__setattr__(self, "notes", tuple(notes))

    def _check_size(self) -> None:
        """Raise ConfigError for more than a page can show or a run can ask."""
        if len(self.layers) > MAX_LAYERS:
            raise ConfigError(f"there are {len(self.layers):,} layers; allowed: {MAX_LAYERS}", "config")
        n_agents = sum(len(layer.agents if isinstance(layer, Layer) else layer) for layer in self.layers)
        if max(n_agents, len(self.roles)) > MAX_AGENTS:
            found = max(n_agents, len(self.roles))
            raise ConfigError(f"there are {found:,} agents; allowed: {MAX_AGENTS}", "config")

    @classmethod
    def default(cls, model: str = DEFAULT_MODEL) -> "MoAConfig":
        """Three agents in two layers and a summarizer, with prompts short enough for a small model."""
        return cls(
            name="Three agents, two layers",
            layers=(
                Layer(tuple(Agent(name, model, first, t, 256) for name, t, first, _ in _DEFAULT_AGENTS)),
                Layer(tuple(Agent(name, model, second, t, 256) for name, t, _, second in _DEFAULT_AGENTS)),
            ),
            summarizer=Agent("Summarizer", model, _DEFAULT_SUMMARIZER_PROMPT, 0.3, 512),
        )

    @classmethod
    def from_json(cls, text: str | bytes | Mapping[str, Any]) -> "MoAConfig":
        """Read the own format or one of the workshop formats in circulation; `notes` says what was changed.

        Raises ConfigError that says where, what was found and what is allowed.
        """
        own, notes = normalise(text)
        taken = ("format", "version", "layers", "summarizer", "roles")
        config = cls(
            layers=tuple(
                Layer(tuple(Agent(**item) for item in layer["agents"])) for layer in own.get("layers", ())
            ),
            summarizer=Agent(**own["summarizer"]),
            roles={role: Agent(**item) for role, item in own.get("roles", {}).items()},
            notes=tuple(notes),
            **{key: value for key, value in own.items() if key not in taken},
        )
        hints = (misspelling_note(model) for model in config.models)
        return replace(config, notes=(*config.notes, *filter(None, hints)))

    @property
    def agents(self) -> tuple[Agent, ...]:
        """Every agent once: the layers' in order, the roles', the summarizer."""
        in_layers = [agent for layer in self.layers for agent in layer.agents]
        return (*in_layers, *self.roles.values(), self.summarizer)

    @property
    def run_layers(self) -> tuple[Layer, ...]:
        """The layers in the order they run: all of them, `cycles` times over."""
        return self.layers * self.cycles

    @property
    def models(self) -> tuple[str, ...]:
        """Every model that is named, once, in order."""
        return tuple(dict.fromkeys(agent.model for agent in self.agents))

    def suggest_models(self, available: Iterable[str]) -> tuple[ModelSuggestion, ...]:
        """One suggestion per model that is not `available`; the user decides, `with_models` applies it."""
        names = tuple(available)
        missing = [model for model in self.models if model not in names]
        return tuple(
            ModelSuggestion(
                model,
                tuple(agent.name for agent in self.agents if agent.model == model),
                *replacement(model, names),
            )
            for model in missing
        )

    def with_models(self, mapping: Mapping[str, str]) -> "MoAConfig":
        """The same with models replaced as `mapping` says; every replacement is noted."""
        used = {old: new for old, new in mapping.items() if old in self.models and old != new}

        def mapped(agent: Agent) -> Agent:
            return replace(agent, model=used.get(agent.model, agent.model))

        return replace(
            self,
            layers=tuple(Layer(tuple(map(mapped, layer.agents))) for layer in self.layers),
            roles={name: mapped(agent) for name, agent in self.roles.items()},
            summarizer=mapped(self.summarizer),
            notes=(*self.notes, *(f"model {old!r} is replaced by {new!r}" for old, new in used.items())),
        )

    def to_dict(self) -> dict[str, Any]:
        """The own format as plain JSON data."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "name": self.name,
            "description": self.description,
            "strategy": self.strategy,
            "options": dict(self.options),
            "cycles": self.cycles,
            "layers": [{"agents": [agent.to_dict() for agent in layer.agents]} for layer in self.layers],
            "summarizer": self.summarizer.to_dict(),
            "roles": {role: agent.to_dict() for role, agent in self.roles.items()},
            "reference_prompt": self.reference_prompt,
            "prompt_order": self.prompt_order,
            "trim_helpers": self.trim_helpers,
            "seed": self.seed,
            "extra": dict(self.extra),
        }

    def to_json(self, indent: int | None = 2) -> str:
        """The own format as text; `from_json` gives an equal configuration back."""
        return json.dumps(self.to_dict(), indent=indent, ensure_ascii=False, allow_nan=False)


def _unique_names(agents: Sequence[Agent], where: str, notes: list[str]) -> tuple[Agent, ...]:
    taken: set[str] = set()
    unique = []
    for agent in agents:
        name, number = agent.name, 2
        while name in taken or (name != agent.name and name in (other.name for other in agents)):
            name, number = f"{agent.name} ({number})", number + 1
        if name != agent.name:
            notes.append(f"{where}: two agents are called {agent.name!r}; one is now {name!r}")
        taken.add(name)
        unique.append(agent if name == agent.name else replace(agent, name=name))
    return tuple(unique)


# Short on purpose: a model of 135 M parameters loses a long instruction. Name, temperature, first and second
# layer.
_DEFAULT_AGENTS = (
    (
        "Direct",
        0.3,
        "You answer directly. Give the correct answer in a few clear sentences.",
        "Write one better answer to the question. Keep what is right in these answers:\n\n{helper_response}",
    ),
    (
        "Example",
        0.7,
        "You explain with examples. Answer the question and give one concrete example.",
        "Answer the user's question with one good example. You may use these answers:\n\n{helper_response}",
    ),
    (
        "Careful",
        0.5,
        "You are careful. Answer the question and name the point that people often get wrong.",
        "Answer the user's question and correct the mistakes in these answers:\n\n{helper_response}",
    ),
)
_DEFAULT_SUMMARIZER_PROMPT = (
    "You write the final answer. Use the best parts of these answers, leave out mistakes, and answer the "
    "user's question clearly and completely:\n\n{helper_response}"
)
