"""What a strategy is: a name, a number of layers, and how the answer comes about."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from moa_core.config import MoAConfig
from moa_core.errors import ConfigError
from moa_core.runtime import Run


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

    play: makes the calls through a `Run` and returns the answer. count_layers: how many layers it will go
    through. roles: the parts that `MoAConfig.roles` may give to an agent of its own; who is missing is played
    by the summarizer.
    """

    name: str
    description: str
    play: Callable[[Run], Awaitable[str]]
    count_layers: Callable[[MoAConfig], int]
    roles: tuple[str, ...] = ()
    options: Mapping[str, Option] = field(default_factory=dict, hash=False)

    def option(self, config: MoAConfig, name: str) -> int:
        """The configured value or the default. Raises ConfigError when it is out of range."""
        rule = self.options[name]
        value = config.options.get(name, rule.default)
        if isinstance(value, bool) or not isinstance(value, int) or not rule.low <= value <= rule.high:
            raise ConfigError(f"is {value!r}; allowed: {rule.low} to {rule.high}", f"options.{name}")
        return value
