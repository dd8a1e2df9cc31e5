"""What a server is called, where it is, and what it announces about its end."""

from collections.abc import Mapping
from datetime import UTC, datetime

import httpx

from moa_core.errors import ServerMisconfigured

CEREBRAS_URL = "https://api.cerebras.ai/v1"


def name_of_server(base_url: str) -> str:
    """What to call a server that nobody named: `api.cerebras.ai` is cerebras, `localhost:8080` is that."""
    url = httpx.URL(base_url)
    parts = url.host.split(".")
    is_address = url.host.replace(".", "").isdigit() or ":" in url.host or len(parts) == 1
    if is_address:
        return f"{url.host}:{url.port}" if url.port else url.host
    return parts[-2]


def deprecation_notice(model: str, headers: Mapping[str, str]) -> str | None:
    """What a response says of the end of a model or an interface (RFC 9745, RFC 8594), None for nothing."""
    found = [(name, headers.get(name, "").strip()) for name in ("deprecation", "sunset")]
    told = [f"{name} {_shown_date(value)}" for name, value in found if value]
    return f"{model}: the server announces its end ({', '.join(told)})" if told else None


def _shown_date(value: str) -> str:
    """A date of these headers as it is, a Unix time (`@1779840000`) as a day."""
    if value.startswith("@") and value[1:].isdigit() and len(value) <= 11:
        return datetime.fromtimestamp(int(value[1:]), UTC).date().isoformat()
    return value[:60]


def checked_url(base_url: str) -> str:
    """The address without `/chat/completions`; `/v1` where there is no path.

    Raises ServerMisconfigured, whose text never holds what was given: people put their key there by mistake.
    """
    try:
        url = httpx.URL(base_url.strip())
    except (httpx.InvalidURL, TypeError, AttributeError):
        # From None: the cause's own text may quote the address.
        raise ServerMisconfigured(
            f"is no address; expected something like {CEREBRAS_URL}", "base_url"
        ) from None
    if url.userinfo:
        raise ServerMisconfigured("holds a name or a password; give the key as api_key", "base_url")
    if url.scheme not in ("http", "https") or not url.host:
        raise ServerMisconfigured(f"is no web address; expected something like {CEREBRAS_URL}", "base_url")
    if url.query:
        raise ServerMisconfigured("has a query (?...); give the key as api_key", "base_url")
    path = url.path.rstrip("/") or "/v1"
    return str(url.copy_with(path=path.removesuffix("/chat/completions"), fragment=None))


def checked_key(api_key: str | None) -> str:
    """The key without white space around it.

    Raises ServerMisconfigured, without the key, for characters that no key has.
    """
    key = (api_key or "").strip()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ServerMisconfigured("has characters that no key has; copy it again", "api_key")
    return key
