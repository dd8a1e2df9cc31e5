"""A chat completion stream, from bytes to pieces of text: no network, no waiting."""

import json
from collections.abc import Mapping
from typing import Any

from moa_core.errors import IncompleteAnswer, MalformedAnswer
from moa_core.providers.base import Delta, Finish, TokenUsage
from moa_core.providers.http_errors import scrub, stream_error
from moa_core.providers.sse import SSEParser

DONE = "[DONE]"
KEEP_ALIVES = ("", "null")  # as data of an event: some servers send them while they think
REASONING_FIELDS = ("reasoning", "reasoning_content", "thinking", "reasoning_details")  # the first one counts


class ChatStream:
    """Fed with the body's bytes, it returns deltas; after the last one it `has_ended`.

    A body that ends without a finish reason or `[DONE]` is an incomplete answer. A server that ignores
    `stream` and sends one JSON document is understood too.
    """

    def __init__(self, service: str, model: str, secret: str) -> None:
        self._has_ended = False
        self._service = service
        self._model = model
        self._secret = secret
        self._parser = SSEParser()
        self._document: bytearray | None = None
        self._is_first = True
        self._finish_reason: str | None = None
        self._usage: Mapping[str, Any] = {}
        self._raw: dict[str, Any] = {}

    def has_ended(self) -> bool:
        """Whether the last delta was returned."""
        return self._has_ended

    def feed(self, piece: bytes) -> list[Delta]:
        """The deltas that `piece` completes. Raises CallFailed for an error object or what is no JSON."""
        if self._is_first and piece.strip():
            self._is_first = False
            if piece.lstrip().startswith(b"{"):
                self._document = bytearray()
        if self._document is not None:
            self._document += piece
            return []
        deltas: list[Delta] = []
        for event in self._parser.feed(piece):
            if self._has_ended:
                break
            deltas.extend(self._event(event))
        return deltas

    def end(self) -> list[Delta]:
        """The last deltas, once the body has ended. Raises IncompleteAnswer when it ended early."""
        if self._document is not None:
            deltas = self._chunk(self._json(bytes(self._document).decode("utf-8", "replace")))
            return [*deltas, self._finished()]
        last = self._parser.finish()
        deltas = self._event(last) if last is not None and (last == DONE or _is_json(last)) else []
        if self._has_ended:
            return deltas
        if self._finish_reason is None:
            raise IncompleteAnswer(f"{self._service}: the stream ended early; what came so far is incomplete")
        return [*deltas, self._finished()]

    def _event(self, data: str) -> list[Delta]:
        if data.strip() == DONE:
            return [self._finished()]
        if data.strip() in KEEP_ALIVES:
            return []
        return self._chunk(self._json(data))

    def _json(self, data: str) -> Mapping[str, Any]:
        try:
            chunk = json.loads(data)
        except ValueError as exc:
            said = scrub(data[:200], self._secret)
            raise MalformedAnswer(f"{self._service}: the stream holds what is no JSON: {said}") from exc
        if not isinstance(chunk, Mapping):
            raise MalformedAnswer(
                f"{self._service}: the stream holds {type(chunk).__name__}, expected an object"
            )
        return chunk

    def _chunk(self, chunk: Mapping[str, Any]) -> list[Delta]:
        if chunk.get("error"):
            raise stream_error(self._service, self._model, chunk["error"], self._secret)
        try:
            return self._read(chunk)
        except (AttributeError, TypeError, KeyError, IndexError) as exc:
            raise MalformedAnswer(f"{self._service}: the stream holds an object of an unknown shape") from exc

    def _read(self, chunk: Mapping[str, Any]) -> list[Delta]:
        for name in ("time_info", "timings"):
            if chunk.get(name):
                self._raw[name] = dict(chunk[name])
        usage = chunk.get("usage") or (chunk.get("x_groq") or {}).get("usage")
        if usage:
            self._usage = self._raw["usage"] = dict(usage)
        deltas = []
        for choice in chunk.get("choices") or ():
            if choice.get("index", 0) != 0:
                continue
            part = choice.get("delta") or choice.get("message") or {}
            text, reasoning = _text(part.get("content")), _thinking_parts(part.get("content"))
            reasoning += next((_thinking(part[name]) for name in REASONING_FIELDS if part.get(name)), "")
            if text or reasoning:
                deltas.append(Delta(text, reasoning))
            self._finish_reason = choice.get("finish_reason") or self._finish_reason
        return deltas

    def _finished(self) -> Delta:
        self._has_ended = True
        usage = self._usage
        prompt = usage.get("prompt_tokens_details") or {}
        completion = usage.get("completion_tokens_details") or {}
        counts = TokenUsage(
            prompt_tokens=_count(usage.get("prompt_tokens")),
            completion_tokens=_count(usage.get("completion_tokens")),
            cached_tokens=_count(prompt.get("cached_tokens")),
            reasoning_tokens=_count(completion.get("reasoning_tokens")),
            cost_usd=_cost(usage.get("cost")),
        )
        return Delta(finish=Finish(self._finish_reason or "stop", counts, raw=self._raw))


def _text(value: Any) -> str:
    """Text as it is, or the text parts of a list of parts."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return "".join(part.get("text") or "" for part in value)


def _thinking_parts(content: Any) -> str:
    """The thinking among the parts of a content (Mistral's servers send it so)."""
    if content is None or isinstance(content, str):
        return ""
    return "".join(_thinking(part.get("thinking")) for part in content if part.get("type") == "thinking")


def _thinking(value: Any) -> str:
    """Thinking as text, or as a list of details: text of it, or a summary; signatures are left out."""
    if value is None or isinstance(value, str):
        return value or ""
    return "".join(part.get("text") or part.get("summary") or "" for part in value)


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) else None


def _cost(value: Any) -> float | None:
    """Dollars, where the server adds them to the usage (OpenRouter does)."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
    return float(value) if is_number else None


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
