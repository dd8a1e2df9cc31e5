"""What the Lab shares among sessions: its experiments, where they are kept, and the cluster."""

from __future__ import annotations

import hashlib
from pathlib import Path

import streamlit as st

from moa_core.experiments import ExperimentStore
from moa_core.experiments.trial import Providers
from moa_core.providers.environment import EnvironmentProviders
from pages.parts import backend
from pages.parts.competition.place import ROOT, competition_url
from pages.parts.session import KEY
from pages.parts.settings import cluster_scheduler, secret
from pages.state.experiments import Experiments

LAB_FILE = ROOT / "data" / "lab.sqlite3"


def lab_place() -> str:
    """The competition's PostgreSQL where there is one, else LAB_STORE, else a file in data/."""
    url = competition_url()
    return url if url.startswith("postgres") else secret("LAB_STORE") or str(LAB_FILE)


def experiments() -> Experiments:
    """The one list of experiments of this server. Raises ExperimentError; then the next call tries again."""
    return _experiments(lab_place())


@st.cache_resource(show_spinner=False)
def _experiments(place: str) -> Experiments:
    if "://" not in place:
        Path(place).parent.mkdir(parents=True, exist_ok=True)
    return Experiments(ExperimentStore(place))


def trial_providers() -> Providers:
    """What trials ask: this app's own providers, or on a cluster those that each worker makes.

    The setup may be imported, so no worker takes its models' names for paths either.
    """
    return EnvironmentProviders(accepts_paths=False) if cluster_scheduler() else backend.providers()


def forget_experiments() -> None:
    """Delete all experiments of this browser, where there are any. Raises ExperimentError."""
    place = lab_place()
    if "://" in place or Path(place).is_file():
        experiments().forget(owner())


def owner() -> str:
    """Names this browser in the list of experiments, without its key."""
    return hashlib.sha256(str(st.session_state[KEY]).encode()).hexdigest()[:32]
