"""Says that a model cannot program before people earn zero with it, and proposes one that can."""

from __future__ import annotations

import streamlit as st

from moa_core import ConfigError, MoAConfig
from pages.parts import backend
from pages.parts.layout import row
from pages.state.expectation import Expectation, expect, speeds
from pages.state.session import Session
from pages.state.text import about, as_plain, size
from wse_backend import models as model_files

CANNOT_PROGRAM_BELOW = 300_000_000  # parameters
LINK_BYTES_PER_S = 5e6  # a careful guess at a home connection, for the time of a download


def weak_coders(session: Session) -> list[str]:
    """The models in use that are known to be too small to write a program."""
    used = dict.fromkeys(agent.model for agent in session.draft.agents)
    cards = model_files.CARDS
    return [model for model in used if model in cards and cards[model].parameters < CANNOT_PROGRAM_BELOW]


def use_for_all(session: Session, model: str) -> None:
    """Give every agent this model, and begin to fetch it."""
    session.draft.use_model(model)
    backend.engine_pool().start_loading(model)


def show_model_advice(session: Session) -> None:
    """When the writer's model cannot program: that, and what to use instead, with size and time."""
    weak = weak_coders(session)
    if session.draft.summarizer.model not in weak:
        return
    st.warning(
        f"{as_plain(session.draft.summarizer.model)} is a fine first model for questions, but with its 135 "
        "million parameters it cannot program: mostly it hands the faulty function back, or breaks it. Use a "
        "model that was trained on code:",
        icon=":material/psychology_alt:",
    )
    with row():
        for name, card in model_files.CARDS.items():
            if card.parameters < CANNOT_PROGRAM_BELOW or "coder" not in name:
                continue
            is_here = model_files.is_downloaded(name)
            fetch = (
                "on disk" if is_here else f"{size(card.size_bytes)} to fetch, {fetch_time(card.size_bytes)}"
            )
            st.button(
                f"Use {name} for all agents ({fetch})",
                key=f"advice_{name}",
                icon=":material/check:" if is_here else ":material/download:",
                on_click=use_for_all,
                args=(session, name),
                help=f"{card.note}; needs {card.ram_note} of memory",
            )


def fetch_time(size_bytes: int) -> str:
    """ "about 4 min", at LINK_BYTES_PER_S."""
    return about(size_bytes / LINK_BYTES_PER_S)


def expectation(session: Session, config: MoAConfig) -> Expectation:
    """How long a run of `config` takes at most. Raises ConfigError for a strategy that there is not."""
    sizes = {name: card.size_bytes for name, card in model_files.CARDS.items()}
    return expect(config, measured_speeds(session), sizes)


def measured_speeds(session: Session) -> dict[str, float]:
    """Tokens per second of each model in this browser's runs so far."""
    return speeds([*session.turns, *(attempt.turn for attempt in session.attempts)])


def expected_time(session: Session) -> str:
    """ "up to about 2 min here", for a run of the present setup; "" while it is not complete."""
    try:
        config = session.draft.to_config()
        expected = expectation(session, config)
    except ConfigError:
        return ""
    basis = "from your runs here" if expected.is_measured else "an estimate before the first run"
    to_fetch = backend.bytes_to_fetch(config)
    first = f" · first {size(to_fetch)} to fetch" if to_fetch else ""
    return f"Up to {about(expected.most_s)} ({basis}){first}"
