"""Which model servers this app uses, by its settings; plain data, knows nothing of Streamlit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from moa_core.errors import ServerMisconfigured
from moa_core.providers.known_servers import KNOWN_SERVERS, check_names, find_server
from moa_core.providers.server_address import checked_key, checked_url

LISTED_FIELDS = ("name", "title", "base_url", "api_key", "service_tier", "prompt_cache_key", "context_tokens")


@dataclass(frozen=True)
class ServerSetting:
    """One server: what agents call it, what people call it, where it is, and what goes with every request.

    context_tokens: the context of all its models, where it does not say; 0: unknown.
    """

    name: str
    title: str
    base_url: str
    api_key: str = field(default="", repr=False)
    service_tier: str = ""
    prompt_cache_key: str = ""
    context_tokens: int = 0


def configured_servers(
    setting: Callable[[str], str | None], listed: Sequence[Any] = (), own_key: str | None = None
) -> list[ServerSetting]:
    """The servers in use, in the order in which they are asked for a model.

    setting: looks one up by name. A service counts once its key is set (own_key: a visitor's own for
    Cerebras), another server once its address is. listed: the `[[servers]]` of the secrets.
    Raises ServerMisconfigured for one that cannot be used, without saying what its key is.
    """
    servers = []
    for known in KNOWN_SERVERS:
        key = (setting(known.secret) if known.secret else None) or ""
        key = (own_key or key) if known.name == "cerebras" else key
        address = setting(known.address_setting)
        if key if known.is_public else address:
            servers.append(
                ServerSetting(
                    known.name,
                    known.title,
                    address or known.base_url,
                    key,
                    setting(known.setting("SERVICE_TIER")) or "",
                    setting(known.setting("PROMPT_CACHE_KEY")) or "",
                )
            )
    servers += [_listed_server(item, number, setting) for number, item in enumerate(listed, start=1)]
    check_names([server.name for server in servers])
    for server in servers:
        _check(server)
    return servers


def _check(server: ServerSetting) -> None:
    """Raise ServerMisconfigured for an address or a key that no request can be made of."""
    try:
        checked_url(server.base_url)
        checked_key(server.api_key)
    except ServerMisconfigured as exc:
        said = str(exc).removeprefix(f"{exc.path}: ")
        raise ServerMisconfigured(said, f"{server.title}: {exc.path}") from None


def _listed_server(item: Any, number: int, setting: Callable[[str], str | None]) -> ServerSetting:
    where = f"server {number} of the secrets"
    if not isinstance(item, Mapping) or not isinstance(item.get("name"), str) or not item["name"].strip():
        raise ServerMisconfigured("needs a name", where)
    unknown = [name for name in item if name not in LISTED_FIELDS]
    if unknown:
        raise ServerMisconfigured(f"has {unknown[0]!r}; known: {', '.join(LISTED_FIELDS)}", where)
    name = item["name"].strip()
    known = find_server(name)
    address = item.get("base_url") or (known.base_url if known else "")
    if not address:
        raise ServerMisconfigured(
            f"is called {name!r}, which is none of the known servers: give its base_url", where
        )
    context = item.get("context_tokens", 0)
    if not isinstance(context, int) or isinstance(context, bool) or context < 0:
        raise ServerMisconfigured("context_tokens is no whole number", where)
    texts = ("title", "api_key", "service_tier", "prompt_cache_key")
    if any(not isinstance(item.get(field_name, ""), str) for field_name in (*texts, "base_url")):
        raise ServerMisconfigured("has a value that is no text", where)
    title = item.get("title") or (known.title if known else name)
    usual_key = setting(known.secret) if known and address == known.base_url else None
    return ServerSetting(
        name,
        title,
        address,
        item.get("api_key") or usual_key or "",
        item.get("service_tier", ""),
        item.get("prompt_cache_key", ""),
        context,
    )
