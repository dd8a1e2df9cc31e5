"""Finds further providers: every module of this folder with a `configured`. Adding one is adding a file.

    def configured(setting: Callable[[str], str | None]) -> Provider | None:
        ...   # the provider as the settings have it; None when they do not ask for it

The models of this process and OpenAI-compatible servers have ways of their own: they share what a process has
(`Wafer`), or there may be several of them (`known_servers`).
"""

import pkgutil
from collections.abc import Callable
from importlib import import_module

from moa_core import providers
from moa_core.providers.base import Provider


def further_providers(setting: Callable[[str], str | None]) -> tuple[Provider, ...]:
    """Every provider of this folder that the settings ask for, in the order of their files' names.

    setting: looks one up by its name. Raises what a provider's own `configured` raises.
    """
    names = sorted(module.name for module in pkgutil.iter_modules(providers.__path__))
    modules = [import_module(f"{providers.__name__}.{name}") for name in names]
    found = [module.configured(setting) for module in modules if hasattr(module, "configured")]
    return tuple(provider for provider in found if provider is not None)
