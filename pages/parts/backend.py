"""What all browser sessions share: the engines, the providers, and the list of models to pick from."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field, replace

import streamlit as st

from moa_core import Agent, Layer, MoAConfig
from moa_core.errors import MoAError
from moa_core.providers import OpenAICompatible, Wafer
from pages.parts.settings import secret
from pages.state.text import count, size
from wse_backend import EnginePool
from wse_backend import models as model_files

CEREBRAS_URL = "https://api.cerebras.ai/v1"
CLOUD_NAME = "cerebras"
LISTING_TTL_S = 120


@dataclass(frozen=True)
class ModelChoice:
    """A model in a picker. where: "in-process", "cloud", or "" when nobody here has it."""

    name: str
    where: str
    note: str

    @property
    def label(self) -> str:
        """The picker's line: the name, and what choosing it costs."""
        return f"{self.name} ({self.note})" if self.note else self.name


@dataclass
class Load:
    """The loading of one model, watched by every session that waits for it."""

    model: str
    stage: str = "waiting"
    done: int = 0
    total: int = 0
    error: Exception | None = None
    finished: threading.Event = field(default_factory=threading.Event)

    @property
    def share(self) -> float:
        """How much of the stage is done, 0 to 1."""
        return min(1.0, self.done / self.total) if self.total > 0 else 0.0


class Loads:
    """Loads models on threads of their own: a session that goes away interrupts nobody's download."""

    def __init__(self, pool: EnginePool) -> None:
        self._pool = pool
        self._lock = threading.Lock()
        self._loads: dict[str, Load] = {}

    def start(self, model: str) -> Load:
        """The loading of `model`: the one under way, or a new one when there was none or it failed."""
        with self._lock:
            load = self._loads.get(model)
            if load is None or load.error is not None:
                load = self._loads[model] = Load(model)
                threading.Thread(target=self._run, args=(load,), name=f"load-{model}", daemon=True).start()
            return load

    def _run(self, load: Load) -> None:
        def progress(stage: str, done: int, total: int) -> None:
            load.stage, load.done, load.total = stage, done, total

        try:
            self._pool.engine(load.model, progress=progress)
        except Exception as exc:  # the thread's outer edge: the sessions that wait show it
            load.error = exc
        finally:
            load.finished.set()


@st.cache_resource(show_spinner=False)
def engine_pool() -> EnginePool:
    """The one pool of engines: every session's agents share each pass over the weights.

    A model's name may come from a configuration that somebody imported: it is never taken for a path.
    """
    return EnginePool(accepts_paths=False)


@st.cache_resource(show_spinner=False)
def loads() -> Loads:
    """The one list of model loads under way."""
    return Loads(engine_pool())


@st.cache_resource(show_spinner=False)
def _wafer() -> Wafer:
    return Wafer(engine_pool())


@st.cache_resource(show_spinner=False, max_entries=4)
def _cloud(base_url: str, api_key: str) -> OpenAICompatible:
    return OpenAICompatible(base_url=base_url, api_key=api_key, name=CLOUD_NAME)


def cloud() -> OpenAICompatible | None:
    """The cloud provider, when a key is configured."""
    key = secret("CEREBRAS_API_KEY")
    return _cloud(secret("CEREBRAS_BASE_URL") or CEREBRAS_URL, key) if key else None


def providers() -> list[Wafer | OpenAICompatible]:
    """The providers of a run, in the order in which they are asked for a model."""
    online = cloud()
    return [_wafer(), online] if online else [_wafer()]


def routed(config: MoAConfig) -> MoAConfig:
    """`config` with a provider for every agent that names none: models that are here run here, others there.

    So a run asks nobody for a list of models first, and what is wrong with the cloud is said as it is.
    """
    if cloud() is None:
        return config
    here = set(model_files.available())

    def placed(agent: Agent) -> Agent:
        provider = agent.provider or (_wafer().name if agent.model in here else CLOUD_NAME)
        return replace(agent, provider=provider)

    return replace(
        config,
        layers=tuple(Layer(tuple(placed(agent) for agent in layer.agents)) for layer in config.layers),
        roles={role: placed(agent) for role, agent in config.roles.items()},
        summarizer=placed(config.summarizer),
    )


def in_process_models() -> list[ModelChoice]:
    """The known models and the GGUF files of the model folder."""
    choices = []
    for name in model_files.available():
        card = model_files.CARDS.get(name)
        if card is None:
            choices.append(ModelChoice(name, "in-process", "own file"))
        else:
            here = "" if model_files.is_downloaded(name) else f"{size(card.size_bytes)} download, "
            terms = "" if card.licence == "Apache-2.0" else f", {card.licence}"
            choices.append(ModelChoice(name, "in-process", f"{here}{card.ram_note} of memory{terms}"))
    return choices


def is_in_process(model: str) -> bool:
    """Whether the engines here run this model."""
    return model in model_files.available()


def cloud_models() -> tuple[list[ModelChoice], str | None]:
    """The cloud's models as it lists them now, and why there are none if it did not answer."""
    if cloud() is None:
        return [], None
    names, problem = _listed(secret("CEREBRAS_BASE_URL") or CEREBRAS_URL, hash(secret("CEREBRAS_API_KEY")))
    return [ModelChoice(name, "cloud", "Cerebras cloud") for name in names], problem


@st.cache_data(ttl=LISTING_TTL_S, max_entries=4, show_spinner="Asking the cloud for its models")
def _listed(base_url: str, key_hash: int) -> tuple[list[str], str | None]:
    """The listing, or the reason for none; both are kept for a short while."""
    del key_hash  # only part of the cache's key: another key means another listing
    provider = cloud()
    if provider is None:
        return [], None
    try:
        return sorted(asyncio.run(provider.models())), None
    except MoAError as exc:
        return [], str(exc)


def forget_listing() -> None:
    """Ask the cloud again next time."""
    _listed.clear()


def describe(choices: list[ModelChoice]) -> str:
    """ "3 in-process models, 12 in the cloud"."""
    n_here = sum(choice.where == "in-process" for choice in choices)
    n_cloud = len(choices) - n_here
    return count(n_here, "in-process model") + (f", {n_cloud} in the cloud" if n_cloud else "")
