"""What all browser sessions share: the engines, the providers, and the list of models to pick from."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import streamlit as st

from moa_core import Agent, Layer, MoAConfig
from moa_core.errors import MoAError
from moa_core.providers import OpenAICompatible, Wafer
from moa_core.providers.base import Context, Provider, estimate_tokens
from moa_core.providers.model_info import ModelInfo
from moa_core.providers.registry import further_providers
from moa_core.providers.wafer import context_of
from pages.parts.settings import OWN_KEY, listed_servers, secret
from pages.state.known_models import KnownModels
from pages.state.model_choice import HERE, ModelChoice, server_choices, server_of
from pages.state.servers import ServerSetting, configured_servers
from pages.state.text import count, size
from wse_backend import EnginePool
from wse_backend import models as model_files
from wse_backend.errors import WseError

LISTING_TTL_S = 120


@st.cache_resource(show_spinner=False)
def engine_pool() -> EnginePool:
    """The one pool of engines: every session's agents share each pass over the weights.

    A model's name may come from a configuration that somebody imported: it is never taken for a path.
    """
    return EnginePool(accepts_paths=False)


@st.cache_resource(show_spinner=False)
def _wafer() -> Wafer:
    return Wafer(engine_pool())


@st.cache_resource(show_spinner=False, max_entries=64)
def _connected(
    name: str, base_url: str, api_key: str, service_tier: str, prompt_cache_key: str, context_tokens: int
) -> OpenAICompatible:
    """One provider per server and key: it remembers what its server takes and what is left of the key."""
    return OpenAICompatible(
        base_url,
        api_key,
        name,
        context_tokens=context_tokens or None,
        service_tier=service_tier,
        prompt_cache_key=prompt_cache_key,
    )


def servers() -> list[ServerSetting]:
    """The servers that the app's settings name. Raises ServerMisconfigured for one that cannot be used."""
    return configured_servers(secret, listed_servers(), st.session_state.get(OWN_KEY))


def connected(server: ServerSetting) -> OpenAICompatible:
    """The provider for a server."""
    return _connected(
        server.name,
        server.base_url,
        server.api_key,
        server.service_tier,
        server.prompt_cache_key,
        server.context_tokens,
    )


def has_servers() -> bool:
    """Whether the settings name a server beside this process, and one that can be used."""
    try:
        return bool(servers())
    except MoAError:
        return False


@st.cache_resource(show_spinner=False)
def further() -> tuple[Provider, ...]:
    """The providers that are a file of moa_core/providers and that the app's settings ask for."""
    return further_providers(secret)


def providers() -> list[Provider]:
    """The providers of a run, in the order in which they are asked for a model. Raises ConfigError."""
    return [_wafer(), *(connected(server) for server in servers()), *further()]


def routed(config: MoAConfig) -> MoAConfig:
    """`config` with a provider for every agent that names none: models that are here run here, others there.

    So a run asks nobody for a list of models first, and what is wrong with a server is said as it is.
    """
    online, more = servers(), further()
    if not online and not more:
        return config
    here = set(model_files.available())
    # With one server there is no choice; with several, what they listed lately decides.
    is_choice = len(online) + len(more) > 1
    lists = {each.name: list(_listing(each)[0]) if is_choice else [] for each in online}
    lists |= {each.name: list(_models_of(each.name, each)[0]) if is_choice else [] for each in more}

    def placed(agent: Agent) -> Agent:
        there = _wafer().name if agent.model in here else server_of(agent.model, lists)
        return replace(agent, provider=agent.provider or there)

    return replace(
        config,
        layers=tuple(Layer(tuple(placed(agent) for agent in layer.agents)) for layer in config.layers),
        roles={role: placed(agent) for role, agent in config.roles.items()},
        summarizer=placed(config.summarizer),
    )


def known_models(config: MoAConfig) -> list[KnownModels]:
    """What is known of the models of `config` without loading one or asking a server, for a live plan.

    A loaded model counts its own tokens; of others the file's header, or what servers listed lately, tells
    the context. Raises ConfigError.
    """
    loaded = {engine.path.name: engine for engine in engine_pool().loaded()}
    folder, here = model_files.models_dir(), set(model_files.available())
    contexts: dict[str, Context] = {}
    for model in here.intersection(config.models):
        path = folder / (model_files.CARDS[model].file if model in model_files.CARDS else model)
        engine = loaded.get(path.name)
        if engine is not None:
            contexts[model] = context_of(engine, model)
        elif path.is_file():
            n_ctx = _header_context(str(path), path.stat().st_mtime_ns)
            contexts[model] = Context(n_ctx, False, estimate_tokens)
    known = [KnownModels(_wafer().name, contexts)]
    for server in servers():
        infos, _ = _listing(server)
        held = {
            name: Context(server.context_tokens or info.n_ctx, False, estimate_tokens, info)
            for name, info in infos.items()
        }
        known.append(KnownModels(server.name, held))
    for provider in further():
        listed, _ = _models_of(provider.name, provider)
        known.append(KnownModels(provider.name, {m: Context(None, False, estimate_tokens) for m in listed}))
    return known


@st.cache_data(max_entries=64, show_spinner=False)
def _header_context(path: str, mtime_ns: int) -> int | None:
    """How many tokens a model file says it holds; None when it does not say, or cannot be read."""
    del mtime_ns  # a file that has changed is another entry
    from wse_backend.weights.header import read_header
    from wse_backend.weights.sizes import Fields, read_sizes

    try:
        header = read_header(Path(path))
        rows = header.shapes.get("token_embd.weight", (None,))[0]
        return read_sizes(Fields(header.metadata, Path(path).name), rows).n_ctx
    except (WseError, OSError):
        return None


def bytes_to_fetch(config: MoAConfig) -> int:
    """How much of the models of `config` is still to be fetched."""
    cards = model_files.CARDS
    return sum(
        cards[name].size_bytes
        for name in config.models
        if name in cards and not model_files.is_downloaded(name)
    )


def in_process_models() -> list[ModelChoice]:
    """The known models and the GGUF files of the model folder."""
    choices = []
    for name in model_files.available():
        card = model_files.CARDS.get(name)
        if card is None:
            choices.append(ModelChoice(name, HERE, "own file"))
        else:
            here = "" if model_files.is_downloaded(name) else f"{size(card.size_bytes)} download, "
            terms = "" if card.licence == "Apache-2.0" else f", {card.licence}"
            choices.append(ModelChoice(name, HERE, f"{here}{card.ram_note} of memory{terms}"))
    return choices


def is_in_process(model: str) -> bool:
    """Whether the engines here run this model."""
    return model in model_files.available()


def cloud_models() -> tuple[list[ModelChoice], str | None]:
    """The models of all servers as they list them now, and why some are missing, if they are."""
    choices: list[ModelChoice] = []
    problems = []
    try:
        online = servers()
    except MoAError as exc:
        return [], str(exc)
    for server in online:
        infos, problem = _listing(server)
        known = {choice.name for choice in choices}  # the first server that lists a model serves it
        choices += [
            choice for choice in server_choices(server.name, server.title, infos) if choice.name not in known
        ]
        problems += [problem] if problem else []
    for provider in further():
        infos, problem = _models_of(provider.name, provider)
        choices += server_choices(provider.name, provider.name, infos)
        problems += [problem] if problem else []
    return choices, "\n".join(problems) or None


def _listing(server: ServerSetting) -> tuple[dict[str, ModelInfo], str | None]:
    return _listed(server.base_url, hash(server.api_key), connected(server))


@st.cache_data(ttl=LISTING_TTL_S, max_entries=64, show_spinner="Asking the servers for their models")
def _listed(
    base_url: str, key_hash: int, _provider: OpenAICompatible
) -> tuple[dict[str, ModelInfo], str | None]:
    """The listing, or the reason for none; both are kept for a short while, for this address and key."""
    try:
        return asyncio.run(_provider.model_infos()), None
    except MoAError as exc:
        return {}, str(exc)


@st.cache_data(ttl=LISTING_TTL_S, max_entries=64, show_spinner="Asking for models")
def _models_of(name: str, _provider: Provider) -> tuple[dict[str, ModelInfo], str | None]:
    """What a further provider lists, as `_listed` has it of servers."""
    try:
        return {model: ModelInfo(model) for model in asyncio.run(_provider.models())}, None
    except MoAError as exc:
        return {}, f"{name}: {exc}"


def forget_listing() -> None:
    """Ask the servers again next time."""
    _listed.clear()
    _models_of.clear()


def host_notices() -> list[str]:
    """What servers announced lately, and what is left of their keys' allowances: for the host.

    Of the models that were asked since the app started.
    """
    said = []
    for server in servers():
        provider = connected(server)
        said += [f"{server.title}: {notice}" for notice in provider.notices.values()]
        for model in provider.asked_models:
            left = [
                f"{each.left:,.0f}{f' of {each.limit:,.0f}' if each.limit else ''} {each.label}"
                for each in provider.allowances(model)
            ]
            said += [f"{server.title}, {model}: left are {', '.join(left)}"] if left else []
    return said


def describe(choices: list[ModelChoice]) -> str:
    """ "3 in-process models, 12 in the cloud"."""
    n_here = sum(choice.where == HERE for choice in choices)
    n_cloud = len(choices) - n_here
    return count(n_here, "in-process model") + (f", {n_cloud} in the cloud" if n_cloud else "")
