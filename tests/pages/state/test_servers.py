"""Which servers the settings name, in which order, and what is wrong with those that cannot be used."""

from __future__ import annotations

import re
import traceback
from typing import Any

import pytest

from moa_core.errors import ServerMisconfigured
from moa_core.providers.known_servers import KNOWN_SERVERS
from pages.state.servers import configured_servers

KEY = "csk-secret-5f1d3c"


def names(settings: dict[str, str], listed: list[Any] | None = None, own_key: str | None = None) -> list[str]:
    return [server.name for server in configured_servers(settings.get, listed or [], own_key)]


def test_without_settings_there_is_no_server() -> None:
    assert names({}) == []


def test_a_key_switches_a_service_on_and_an_address_another_server() -> None:
    settings = {"OPENROUTER_API_KEY": "k", "CEREBRAS_API_KEY": "k", "OLLAMA_BASE_URL": "http://box:11434/v1"}
    assert names(settings) == ["cerebras", "openrouter", "ollama"]
    assert names({"CEREBRAS_BASE_URL": "http://127.0.0.1:1"}) == []
    assert names({"VLLM_API_KEY": "k"}) == []


@pytest.mark.parametrize("known", KNOWN_SERVERS, ids=lambda known: known.name)
def test_every_known_server_can_be_switched_on(known: Any) -> None:
    setting = {known.secret: KEY} if known.is_public else {known.address_setting: "http://box/v1"}
    (server,) = configured_servers(setting.get)
    assert (server.name, server.title) == (known.name, known.title)
    assert server.base_url == (known.base_url if known.is_public else "http://box/v1")


def test_a_visitors_own_key_goes_before_the_apps() -> None:
    (server,) = configured_servers({"CEREBRAS_API_KEY": "app"}.get, own_key="own")
    assert server.api_key == "own"
    assert names({}, own_key="own") == ["cerebras"]


def test_what_the_host_wishes_goes_with_the_server() -> None:
    settings = {
        "CEREBRAS_API_KEY": KEY, "CEREBRAS_SERVICE_TIER": "flex", "CEREBRAS_PROMPT_CACHE_KEY": "class",
    }  # fmt: skip
    (server,) = configured_servers(settings.get)
    assert (server.service_tier, server.prompt_cache_key) == ("flex", "class")
    assert KEY not in repr(server)


def test_listed_servers_come_after_and_know_the_presets_addresses() -> None:
    listed = [{"name": "ollama"}, {"name": "ours", "base_url": "http://box:9/v1", "context_tokens": 8192}]
    first, second = configured_servers({}.get, listed)
    assert (first.title, first.base_url) == ("Ollama", "http://127.0.0.1:11434/v1")
    assert (second.name, second.title, second.context_tokens) == ("ours", "ours", 8192)


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        ([{"base_url": "http://box"}], "server 1 of the secrets: needs a name"),
        (["http://box"], "needs a name"),
        ([{"name": "ours"}], "give its base_url"),
        ([{"name": "ollama"}, {"name": "ollama"}], "two servers are called 'ollama'"),
        ([{"name": "ollama", "key": KEY}], "has 'key'; known: name"),
        ([{"name": "ollama", "context_tokens": "many"}], "no whole number"),
        ([{"name": "ollama", "api_key": 7}], "no text"),
        ([{"name": "vllm", "api_key": f"{KEY} {KEY}"}], "vLLM: api_key: has characters that no key has"),
        ([{"name": "ours", "base_url": KEY}], "ours: base_url: is no web address"),
        ([{"name": "ours", "base_url": f"http://{KEY}@box/v1"}], "holds a name or a password"),
        ([{"name": "ours", "base_url": f"http://box/v1?key={KEY}"}], "has a query"),
        ([{"name": "ours", "base_url": f"http://box:{KEY}"}], "is no address"),
    ],
)
def test_a_server_that_cannot_be_used_says_why_and_never_its_key(listed: list[Any], said: str) -> None:
    with pytest.raises(ServerMisconfigured) as caught:
        configured_servers({}.get, listed)
    assert said in str(caught.value)
    shown = traceback.TracebackException.from_exception(caught.value)
    assert KEY not in "".join(shown.format())


def test_a_key_in_the_place_of_an_address_is_refused_and_not_shown() -> None:
    settings = {"CEREBRAS_API_KEY": "k", "CEREBRAS_BASE_URL": KEY}
    with pytest.raises(ServerMisconfigured, match="Cerebras cloud: base_url") as caught:
        configured_servers(settings.get)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("known", KNOWN_SERVERS, ids=lambda known: known.name)
def test_the_settings_of_every_known_server_can_be_names_in_an_environment(known: Any) -> None:
    names = [known.setting(what) for what in ("SERVICE_TIER", "PROMPT_CACHE_KEY", "BASE_URL")]
    assert all(re.fullmatch("[A-Z_]+", name) for name in (*names, known.secret))
    settings = {known.address_setting: "http://box/v1", known.secret: KEY, names[0]: "flex"}
    (server,) = configured_servers(settings.get)
    assert (server.api_key, server.service_tier) == (KEY, "flex")


def test_a_listed_server_of_a_known_kind_finds_its_key_but_sends_it_nowhere_else() -> None:
    settings = {"VLLM_API_KEY": KEY}
    assert configured_servers(settings.get, [{"name": "vllm"}])[0].api_key == KEY
    there = {"name": "vllm", "base_url": "http://elsewhere/v1"}
    assert configured_servers(settings.get, [there])[0].api_key == ""
