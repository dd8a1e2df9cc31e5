"""The providers that a process has by its environment: made anew in each, so that no key travels."""

from __future__ import annotations

import os
from dataclasses import dataclass

from moa_core.providers.base import Provider
from moa_core.providers.known_servers import find_server
from moa_core.providers.openai_compatible import OpenAICompatible
from moa_core.providers.registry import further_providers
from moa_core.providers.server_address import CEREBRAS_URL
from moa_core.providers.wafer import Wafer

KEY_VARIABLE = "CEREBRAS_API_KEY"


@dataclass(frozen=True, slots=True)
class EnvironmentProviders:
    """Makes them when called: the models in this process, a server where there is an address or a key, and
    what `further_providers` finds.

    base_url: an address, or the name of a known kind of server (see known_servers.py). A value that can be
    sent to another process, whose own environment then says the key. accepts_paths: False where a model's
    name may come from a stranger: it is then never taken for a path of that process's machine.
    """

    base_url: str = ""
    accepts_paths: bool = True

    def __call__(self) -> tuple[Provider, ...]:
        wafer = Wafer(accepts_paths=self.accepts_paths)
        return (wafer, *self._servers(), *further_providers(os.environ.get))

    def _servers(self) -> tuple[Provider, ...]:
        known = find_server(self.base_url)
        if known is not None:
            own_key = os.environ.get(known.secret) if known.secret else None
            return (OpenAICompatible(known.base_url, own_key, known.name),)
        key = os.environ.get(KEY_VARIABLE)
        if self.base_url:
            return (OpenAICompatible(self.base_url, key, name="server"),)
        return (OpenAICompatible(CEREBRAS_URL, key),) if key else ()
