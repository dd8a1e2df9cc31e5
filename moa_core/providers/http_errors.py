"""HTTP faults as this package's errors: exceptions, statuses, error objects; keys cut out of every text."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from moa_core.errors import (
    CallFailed,
    ConnectFailed,
    ContextExceeded,
    MalformedAnswer,
    ModelNotFound,
    QueueExceeded,
    RateLimited,
    RequestRefused,
    ServerFailed,
    TimedOut,
    WrongKey,
)
from moa_core.providers.retry import asked_wait_s, span

MAX_SHOWN = 300
# Cerebras answers 429 or 503 with this code when all its customers together are too many, and 429 with
# request_quota_exceeded or token_quota_exceeded when this key is (error texts in public issues, 2026).
QUEUE_EXCEEDED = "queue_exceeded"
LIMIT_WORDS = ("rate_limit", "quota_exceeded", "too_many_requests")
CONTEXT_WORDS = ("context_length", "context length", "maximum context", "context window", "too many tokens")


@contextmanager
def translated(service: str, connect_s: float) -> Iterator[None]:
    """Raise our error for every httpx exception, with the cause chained."""
    try:
        yield
    except (httpx.ConnectTimeout, httpx.PoolTimeout) as exc:
        raise TimedOut(f"{service}: no connection within {connect_s:g} s", "connect", connect_s) from exc
    except httpx.TimeoutException as exc:
        raise TimedOut(f"{service}: no data in time", "read", connect_s) from exc
    except httpx.ConnectError as exc:
        raise ConnectFailed(f"{service}: no connection ({exc}); check the network and the address") from exc
    except httpx.ProxyError as exc:
        raise ConnectFailed(f"{service}: the proxy refused the connection") from exc
    except (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.InvalidURL) as exc:
        raise RequestRefused(f"{service}: the request cannot be sent ({type(exc).__name__})", 0) from exc
    except httpx.TransportError as exc:
        raise ConnectFailed(f"{service}: the connection broke ({type(exc).__name__})") from exc
    except (httpx.DecodingError, httpx.TooManyRedirects) as exc:
        raise MalformedAnswer(f"{service}: the reply cannot be read ({type(exc).__name__})") from exc
    except httpx.HTTPError as exc:
        raise ServerFailed(f"{service}: {type(exc).__name__}") from exc


def status_error(
    service: str, model: str, status: int, headers: Mapping[str, str], body: bytes, secret: str
) -> CallFailed:
    """The error that an HTTP status other than 200 stands for, with what the server said about it."""
    said = scrub(_server_text(body), secret)
    tail = f": {said.rstrip('. ')}" if said else ""
    lower = said.lower()
    if status in (401, 403):
        return WrongKey(f"{service} refuses the key ({status}){tail}. Check the API key")
    if status == 404:
        return ModelNotFound(f"{service} does not know {model!r} (404){tail}. Choose a model it lists")
    if status in (429, 503) and _code(body) == QUEUE_EXCEEDED:
        return QueueExceeded(f"{service}: too busy to queue more requests ({status}){tail}", status)
    if status == 429:
        wait_s = asked_wait_s(headers)
        when = f"; it asks to wait {span(wait_s)}" if wait_s else ""
        return RateLimited(f"{service}: too many requests (429){when}{tail}", wait_s)
    if status == 402:
        return RequestRefused(f"{service} asks for payment (402){tail}. Check the account's balance", status)
    if status in (400, 413, 422) and any(word in lower for word in CONTEXT_WORDS):
        return ContextExceeded(f"{service}: the prompt does not fit into {model!r}'s context{tail}")
    if status in (408, 409) or status >= 500:
        return ServerFailed(f"{service} failed ({status}){tail}", status)
    if 300 <= status < 400:
        return RequestRefused(f"{service} redirects ({status}); give the final address as base_url", status)
    return RequestRefused(f"{service} refuses the request ({status}){tail}", status)


def stream_error(service: str, model: str, error: Any, secret: str, status: Any = None) -> CallFailed:
    """The error that an error object inside a stream stands for; status: what stands beside the object."""
    said = scrub(_message(error), secret) or "no details"
    inside = error if isinstance(error, Mapping) else {}
    code = next((value for value in (inside.get("code"), inside.get("status_code"), status) if value), None)
    if isinstance(code, str) and code.isdigit():
        code = int(code)
    if code == QUEUE_EXCEEDED:
        return QueueExceeded(f"{service}: too busy to queue more requests: {said}")
    if code == 429 or any(word in str(code) for word in LIMIT_WORDS):
        return RateLimited(f"{service}: {said}")
    if code in (401, 403):
        return WrongKey(f"{service} refuses the key ({code}): {said}. Check the API key")
    if code == 404 or code == "model_not_found":
        return ModelNotFound(f"{service} does not know {model!r}: {said}")
    return ServerFailed(
        f"{service} reported an error in the stream: {said}", code if isinstance(code, int) else None
    )


def scrub(text: str, secret: str) -> str:
    """`text` without the key, on one line, short enough to show, and without half characters."""
    if secret:
        text = text.replace(secret, "***")
    text = " ".join(text.split()).encode("utf-8", "replace").decode()
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"


def _code(body: bytes) -> str:
    """The machine-readable code of an error, empty when there is none."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    error = data.get("error", data) if isinstance(data, Mapping) else None
    return str(error.get("code", "")) if isinstance(error, Mapping) else ""


def _server_text(body: bytes) -> str:
    text = body.decode("utf-8", "replace")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return "" if "<html" in text[:1000].lower() else text
    return _message(data.get("error", data) if isinstance(data, Mapping) else data)


def _message(error: Any) -> str:
    if isinstance(error, list) and len(error) == 1:  # Google's servers wrap the object in a list
        return _message(error[0])
    if isinstance(error, Mapping):
        for key in ("message", "detail", "error"):
            if error.get(key):
                return _message(error[key])
        return json.dumps(error, ensure_ascii=False)
    return str(error)
