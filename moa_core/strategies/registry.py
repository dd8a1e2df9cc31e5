"""Finds the strategies: every module of this folder that defines `STRATEGY`. Adding one is adding a file."""

import pkgutil
from functools import cache
from importlib import import_module

from moa_core import strategies
from moa_core.errors import ConfigError
from moa_core.strategies.base import Strategy


@cache
def all_strategies() -> dict[str, Strategy]:
    """Every strategy by its name, in the order of their files' names."""
    names = [module.name for module in pkgutil.iter_modules(strategies.__path__)]
    modules = [import_module(f"{strategies.__name__}.{name}") for name in names]
    found = [module.STRATEGY for module in modules if hasattr(module, "STRATEGY")]
    return {strategy.name: strategy for strategy in found}


def find_strategy(name: str) -> Strategy:
    """The strategy called `name`; underscores and spaces serve as hyphens. Raises ConfigError."""
    known = all_strategies()
    plain = name.strip().lower().replace("_", "-").replace(" ", "-")
    if plain not in known:
        raise ConfigError(f"there is no strategy {name!r}; there are: {', '.join(known)}", "strategy")
    return known[plain]
