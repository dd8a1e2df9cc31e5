"""A provider that only says what is known of models: for a plan that must cost nothing; no Streamlit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping

from moa_core.errors import NoProvider
from moa_core.providers.base import CallRequest, Context, Delta, Wait, estimate_tokens

UNKNOWN = Context(None, False, estimate_tokens)


class KnownModels:
    """Takes the place of a provider in a plan: nothing is loaded for it, and no server is asked."""

    def __init__(self, name: str, contexts: Mapping[str, Context]) -> None:
        self.name = name
        self._contexts = contexts

    async def models(self) -> list[str]:
        return list(self._contexts)

    async def context(self, model: str, on_wait: Callable[[Wait], None] | None = None) -> Context:
        return self._contexts.get(model, UNKNOWN)

    def stream(self, request: CallRequest) -> AsyncIterator[Delta]:
        raise NoProvider(f"{self.name} only plans; it answers nothing")
