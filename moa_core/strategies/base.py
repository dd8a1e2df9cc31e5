"""What a strategy is: a name, its options, the roles it gives out, and how the answer comes about."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace

from moa_core.config.values import Agent, MoAConfig
from moa_core.errors import ConfigError
from moa_core.runs.strategy_context import StrategyContext


@dataclass(frozen=True, slots=True)
class Option:
    """A whole number that a strategy takes from the configuration's `options`."""

    default: int
    low: int
    high: int
    description: str


@dataclass(frozen=True, slots=True)
class Strategy:
    """A way to get one answer out of several calls.

    answer: makes the calls through a `StrategyContext` and returns the answer. How many calls it makes at
    most must not depend on what the answers say: the plan of a run is made by running it dry. roles: the
    parts that `MoAConfig.roles` may give to an agent of its own. needs_checker: it tries answers with the
    run's checker.
    """

    name: str
    description: str
    answer: Callable[[StrategyContext], Awaitable[str]]
    roles: tuple[str, ...] = ()
    options: Mapping[str, Option] = field(default_factory=dict, hash=False)
    needs_checker: bool = False

    @property
    def title(self) -> str:
        """What people call it: "Best of n"."""
        return self.name.replace("-", " ").capitalize()


def option(config: MoAConfig, options: Mapping[str, Option], name: str) -> int:
    """The configured value of an option, or its default. Raises ConfigError when it is out of range."""
    rule = options[name]
    value = config.options.get(name, rule.default)
    if isinstance(value, bool) or not isinstance(value, int) or not rule.low <= value <= rule.high:
        raise ConfigError(
            f"is {value!r}; allowed: whole numbers from {rule.low} to {rule.high} ({rule.description})",
            f"options.{name}",
        )
    return value


def agents_for(config: MoAConfig, role: str, count: int, prompt: str = "") -> list[Agent]:
    """`count` agents in the role of `role`, each with a name of its own.

    The role's own agent if there is one, else the first layer's agents in turn, else the summarizer's model
    with `prompt`.
    """
    if role in config.roles:
        pool = [config.roles[role]]
    elif config.layers:
        pool = list(config.layers[0].agents)
    else:
        pool = [replace(config.summarizer, name=role.capitalize(), prompt=prompt)]
    chosen = [pool[i % len(pool)] for i in range(count)]
    if count <= len(pool):
        return chosen
    return [replace(agent, name=f"{agent.name} {i}") for i, agent in enumerate(chosen, start=1)]


def judging_agent(config: MoAConfig, role: str, prompt: str, schema: Mapping[str, object]) -> Agent:
    """The agent that judges, by `schema`: the role's own, else the summarizer's model with `prompt`."""
    agent = config.roles.get(role) or replace(config.summarizer, name=role.capitalize(), prompt=prompt)
    return replace(agent, response_schema=schema)
