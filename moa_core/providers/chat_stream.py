"""A chat completion stream, from bytes to pieces of text: no network, no waiting."""

import json
import re
from collections.abc import Mapping
from typing import Any

from moa_core.errors import IncompleteAnswer, MalformedAnswer, ServerFailed
from moa_core.providers.base import Delta, Finish, TokenUsage
from moa_core.providers.http_errors import scrub, stream_error
from moa_core.providers.sse import SSEParser

DONE = "[DONE]"
MAX_COUNTED = 10**12  # tokens or dollars of one answer; beyond it a server counts something else
KEEP_ALIVES = ("", "null")  # as data of an event: some servers send them while they think
REASONING_FIELDS = ("reasoning", "reasoning_content", "thinking", "reasoning_details")  # the first one counts
MAX_SHOWN = 200
_SURROGATE = re.compile("[\ud800-\udfff]")


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
        self._answer, self._thinking = _WholeCharacters(), _WholeCharacters()

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
        except (ValueError, RecursionError) as exc:
            said = scrub(data, self._secret)[:MAX_SHOWN]
            raise MalformedAnswer(f"{self._service}: the stream holds what is no JSON: {said}") from exc
        if not isinstance(chunk, Mapping):
            raise MalformedAnswer(
                f"{self._service}: the stream holds {type(chunk).__name__}, expected an object"
            )
        return chunk

    def _chunk(self, chunk: Mapping[str, Any]) -> list[Delta]:
        error = chunk.get("error") or (chunk if chunk.get("object") == "error" else None)
        if error:
            raise stream_error(self._service, self._model, error, self._secret, chunk.get("status_code"))
        try:
            return self._read(chunk)
        except (AttributeError, TypeError, KeyError, IndexError) as exc:
            raise MalformedAnswer(f"{self._service}: the stream holds an object of an unknown shape") from exc

    def _read(self, chunk: Mapping[str, Any]) -> list[Delta]:
        for name in ("time_info", "timings"):
            if _object(chunk.get(name)):
                self._raw[name] = dict(chunk[name])
        usage = _object(chunk.get("usage")) or _object(_object(chunk.get("x_groq")).get("usage"))
        if usage:
            self._usage = self._raw["usage"] = dict(usage)
        deltas = []
        for choice in chunk.get("choices") or ():
            if choice.get("index"):
                continue
            if choice.get("error"):
                raise stream_error(self._service, self._model, choice["error"], self._secret)
            # A last event with an empty delta may repeat the whole message beside it.
            part = choice.get("message" if choice.get("delta") is None else "delta") or {}
            content = part.get("content")
            text, reasoning = _text(content), _thinking_parts(content)
            reasoning += next(filter(None, (_thinking(part.get(name)) for name in REASONING_FIELDS)), "")
            text, reasoning = self._answer.take(text), self._thinking.take(reasoning)
            if text or reasoning:
                deltas.append(Delta(text, reasoning))
            reason = choice.get("finish_reason")
            self._finish_reason = reason if reason and isinstance(reason, str) else self._finish_reason
        return deltas

    def _finished(self) -> Delta:
        if self._finish_reason == "error":
            raise ServerFailed(f"{self._service} ended the stream with an error and did not say which")
        self._has_ended = True
        usage = self._usage
        prompt = _object(usage.get("prompt_tokens_details"))
        completion = _object(usage.get("completion_tokens_details"))
        counts = TokenUsage(
            prompt_tokens=_count(usage.get("prompt_tokens")),
            completion_tokens=_count(usage.get("completion_tokens")),
            cached_tokens=_count(prompt.get("cached_tokens")),
            reasoning_tokens=_count(completion.get("reasoning_tokens")),
            cost_usd=_cost(usage.get("cost")),
        )
        rest = self._answer.rest(), self._thinking.rest()
        return Delta(*rest, finish=Finish(self._finish_reason or "stop", counts, raw=self._raw))


class _WholeCharacters:
    """Puts characters together again that a server cut in half.

    Servers that count in UTF-16 may send the two surrogates of a character in two events. Alone, each is
    what nobody can write into a file or onto a page; what never gets its other half becomes U+FFFD.
    """

    def __init__(self) -> None:
        self._half = ""

    def take(self, piece: str) -> str:
        """The piece without half characters; a first half at its end waits for the next piece."""
        if not self._half and _SURROGATE.search(piece) is None:
            return piece
        if not piece:
            return ""
        piece, self._half = self._half + piece, ""
        if "\ud800" <= piece[-1] <= "\udbff":
            piece, self._half = piece[:-1], piece[-1]
        return piece.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    def rest(self) -> str:
        """What is left of a character whose second half never came."""
        half, self._half = self._half, ""
        return "\ufffd" if half else ""


def _object(value: Any) -> Mapping[str, Any]:
    """The JSON object, an empty one for anything else: what stands beside an answer never costs it."""
    return value if isinstance(value, Mapping) else {}


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
    """Thinking as text, or as a list of details: text of it, or a summary; signatures are left out.

    Any other shape is no thinking that can be shown, and no reason to lose the answer.
    """
    if isinstance(value, str):
        return value
    parts = [_object(part) for part in value] if isinstance(value, list) else [_object(value)]
    texts = (part.get("text") or part.get("summary") for part in parts)
    return "".join(text for text in texts if isinstance(text, str))


def _count(value: Any) -> int | None:
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_COUNTED
    return value if is_count else None


def _cost(value: Any) -> float | None:
    """Dollars, where the server adds them to the usage (OpenRouter does)."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    is_number = is_number and 0 <= value <= MAX_COUNTED
    return float(value) if is_number else None


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
