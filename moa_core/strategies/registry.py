"""Finds the strategies: every module of this folder that defines `STRATEGY`. Adding one is adding a file."""

import pkgutil
from functools import cache
from importlib import import_module
from pathlib import Path

from moa_core.errors import ConfigError
from moa_core.strategies.base import Strategy


@cache
def all_strategies() -> dict[str, Strategy]:
    """Every strategy by its name, in the order of their files' names."""
    package = __name__.rpartition(".")[0]
    names = [module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)])]
    modules = [import_module(f"{package}.{name}") for name in names]
    found = [module.STRATEGY for module in modules if hasattr(module, "STRATEGY")]
    return {strategy.name: strategy for strategy in found}


def find_strategy(name: str) -> Strategy:
    """The strategy called `name`; underscores and spaces serve as hyphens. Raises ConfigError."""
    strategies = all_strategies()
    plain = name.strip().lower().replace("_", "-").replace(" ", "-")
    if plain not in strategies:
        raise ConfigError(f"there is no strategy {name!r}; there are: {', '.join(strategies)}", "strategy")
    return strategies[plain]
