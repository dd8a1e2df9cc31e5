"""Which provider serves an agent: the one it names, else the first that lists its model."""

import asyncio
from collections.abc import Sequence

from moa_core.config.values import Agent
from moa_core.errors import ConfigError, MoAError, NoProvider
from moa_core.providers.base import Provider

LIST_TIMEOUT_S = 15.0


class Router:
    """Asks the providers in order, each for its models at most once per run.

    A model that nobody lists goes to the only provider there is: servers know more models than they list. So
    a single provider is never asked for its list.
    """

    def __init__(self, providers: Provider | Sequence[Provider]) -> None:
        self.providers = tuple(providers) if isinstance(providers, Sequence) else (providers,)
        if not self.providers:
            raise ConfigError("there is no provider; give at least one", "providers")
        self._lists: dict[int, asyncio.Task[list[str]]] = {}

    async def route(self, agent: Agent) -> Provider:
        """The provider for `agent`. Raises NoProvider that says who was asked and what they have."""
        candidates = self.providers
        if agent.provider is not None:
            candidates = tuple(p for p in self.providers if p.name == agent.provider)
            if not candidates:
                there = ", ".join(p.name for p in self.providers)
                raise NoProvider(f"there is no provider called {agent.provider!r}; there are: {there}")
        if len(candidates) == 1:
            return candidates[0]
        said = []
        for provider in candidates:
            try:
                names = await self._models(provider)
            except MoAError as exc:
                said.append(f"{provider.name} could not be asked ({exc})")
                continue
            if agent.model in names:
                return provider
            said.append(f"{provider.name} lists {', '.join(names) or 'nothing'}")
        raise NoProvider(
            f"nobody serves {agent.model!r}: {'; '.join(said)}. Choose a listed model for {agent.name!r}"
        )

    async def name_for(self, agent: Agent) -> str:
        """The name of the provider for `agent`, empty when there is none."""
        try:
            return (await self.route(agent)).name
        except NoProvider:
            return ""

    async def learn(self, provider: Provider) -> None:
        """Ask a provider for its list even if routing does not need it: some tell contexts there."""
        try:
            await self._models(provider)
        except MoAError:
            return

    async def _models(self, provider: Provider) -> list[str]:
        key = id(provider)
        if key not in self._lists:
            self._lists[key] = asyncio.create_task(_list_models(provider))
        return await asyncio.shield(self._lists[key])

    async def aclose(self) -> None:
        """Stop asking."""
        for task in self._lists.values():
            task.cancel()
        await asyncio.gather(*self._lists.values(), return_exceptions=True)


async def _list_models(provider: Provider) -> list[str]:
    try:
        async with asyncio.timeout(LIST_TIMEOUT_S):
            return await provider.models()
    except TimeoutError as exc:
        raise NoProvider(f"no list of models within {LIST_TIMEOUT_S:g} s") from exc
