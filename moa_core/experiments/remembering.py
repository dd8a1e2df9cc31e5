"""A provider that gives an answer it knows instead of asking again: same request, same seed, same text."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from moa_core.providers.base import CallRequest, Counting, Delta, Finish, Provider, Sessional


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider answered to one request."""

    text: str
    reasoning: str
    finish: Finish


class Remembering:
    """Stands before a provider for the length of one run; `answers` holds what came of every request."""

    def __init__(self, provider: Provider, known: Mapping[str, Answer]) -> None:
        self.name = provider.name
        self.answers: dict[str, Answer] = {}
        self.n_reused = 0
        self._provider = provider
        self._known = known
        # The optional faces of a provider are there only when the provider has them.
        if isinstance(provider, Counting):
            self.context: Any = provider.context
        if isinstance(provider, Sessional):
            self.session: Any = provider.session

    async def models(self) -> list[str]:
        """What the provider lists."""
        return await self._provider.models()

    async def stream(self, request: CallRequest) -> AsyncIterator[Delta]:
        """The known answer at once, else the provider's own; an answer that ends is remembered."""
        key = request_key(self.name, request)
        known = self._known.get(key)
        if known is not None:
            self.n_reused += 1
            self.answers[key] = known
            yield Delta(known.text, known.reasoning, finish=known.finish)
            return
        text, reasoning = [], []
        stream = self._provider.stream(request)
        try:
            async for delta in stream:
                text.append(delta.text)
                reasoning.append(delta.reasoning)
                if delta.finish is not None:
                    finish = replace(delta.finish, timing=None, routing=None)
                    self.answers[key] = Answer("".join(text), "".join(reasoning), finish)
                yield delta
        finally:
            close = getattr(stream, "aclose", None)
            if close is not None:
                await close()


def request_key(provider: str, request: CallRequest) -> str:
    """Names a request to a provider by everything that its answer depends on."""
    data = {item.name: getattr(request, item.name) for item in fields(request)}
    text = json.dumps([provider, data], sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
