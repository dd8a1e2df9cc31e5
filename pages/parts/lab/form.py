"""The Lab's form: which experiment, on what, how large."""

from __future__ import annotations

import streamlit as st

from grader import challenges
from moa_core import ConfigError, MoAConfig
from moa_core.experiments import Budget, Space
from moa_core.experiments.compare import single_of
from moa_core.experiments.presets import presets
from moa_core.experiments.space import FRAGMENTS
from moa_core.strategies import all_strategies
from pages.parts import backend
from pages.parts.layout import row
from pages.parts.session import Session
from pages.state.lab_form import KINDS, SEED_CHOICES, Asked, named
from pages.state.text import count

ABOUT = {
    "spread": "Your agents over many seeds: every score, the median, and how sure it is.",
    "compare": "Two setups on the same seeds, pair by pair, and in words which is better.",
    "ablate": "Your agents without each agent, each layer and the summarizer's instruction: what is missed?",
    "search": "Setups like yours, proposed one after another; the winner is confirmed on fresh seeds.",
}
ALONE, BEFORE = "One model alone", "My setup at the last attempt"
NARROW_POINTS = 10.0
TEMPERATURES = (0.0, 0.2, 0.4, 0.7, 1.0)
BUDGET_MINUTES = (5, 10, 30, 60, 180)


def ask(session: Session) -> Asked | None:
    """The experiment that the form describes; None when the setup is not complete."""
    kind = st.segmented_control(
        "Experiment",
        list(KINDS),
        default="spread",
        required=True,
        format_func=KINDS.__getitem__,
        key="lab_kind",
    )
    st.caption(ABOUT[kind])
    try:
        config = named(session.draft.to_config(), "Your agents")
    except ConfigError as exc:
        st.warning(str(exc), icon=":material/tune:")
        return None
    with row(vertical_alignment="bottom"):
        tasks = {each.name: each.title for each in challenges()}
        challenge = st.selectbox(
            "Challenge", list(tasks), format_func=tasks.__getitem__, key="lab_challenge", width=260
        )
        if kind == "search":
            return _ask_search(config, challenge)
        seeds = st.selectbox("Seeds", SEED_CHOICES, index=2, key="lab_seeds", width=110)
        narrow = kind == "spread" and st.checkbox(
            "Stop early",
            key="lab_narrow",
            help=f"When the median is known to within {NARROW_POINTS:g} points, 8 seeds at least.",
        )
        if kind == "compare":
            label, other = _ask_other(session, config)
            return Asked(kind, challenge, (other, config), (label, "Your agents"), seeds)
    limit = NARROW_POINTS if narrow else None
    return Asked(kind, challenge, (config,), ("Your agents",), seeds, limit)


def _ask_other(session: Session, config: MoAConfig) -> tuple[str, MoAConfig]:
    """What the setup is compared with."""
    choices = {ALONE: single_of(config)}
    earlier = next((a for a in reversed(session.attempts) if a.config), None)
    if earlier is not None:
        choices[BEFORE] = named(MoAConfig.from_json(earlier.config), BEFORE)
    for preset in presets():
        if preset.model in config.models:
            choices[f"{preset.config.name} ({preset.model})"] = preset.config
    label = st.selectbox("Against", list(choices), key="lab_against", width=320)
    return label, choices[label]


def _ask_search(config: MoAConfig, challenge: str) -> Asked | None:
    minutes = st.selectbox(
        "Budget",
        BUDGET_MINUTES,
        index=1,
        format_func=lambda value: count(value, "minute"),
        key="lab_minutes",
        width=140,
    )
    confirm = st.selectbox("Fresh seeds for the winner", (4, 8, 16), index=2, key="lab_confirm", width=190)
    here = [choice.name for choice in backend.in_process_models()]
    names = list(dict.fromkeys([*config.models, *here]))
    models = st.multiselect("Models", names, default=list(config.models), key="lab_models")
    temperatures = st.multiselect("Temperatures", TEMPERATURES, default=[0.4, 0.7], key="lab_temperatures")
    sizes = st.multiselect("Agents in a layer", (1, 2, 3, 4, 6), key="lab_sizes")
    cycles = st.multiselect("Cycles", (1, 2, 3), key="lab_cycles")
    strategies = st.multiselect("Strategies", list(all_strategies()), key="lab_strategies")
    fragments = st.multiselect("Sentences in the prompts", list(FRAGMENTS), key="lab_fragments")
    rewrites = st.number_input(
        "Prompts rewritten by a model", 0, 8, 0, key="lab_rewrites",
        help="A model reads what failed and writes the agents' prompt anew.", width=220,
    )  # fmt: skip
    rewriter = (
        st.selectbox("The model that rewrites", names, key="lab_rewriter", width=260) if rewrites else ""
    )
    space = Space(
        models=tuple(models),
        temperatures=tuple(temperatures),
        agents=tuple(sizes),
        cycles=tuple(cycles),
        strategies=tuple(strategies),
        fragments={name: FRAGMENTS[name] for name in fragments},
        rewrites=int(rewrites),
        rewriter=rewriter,
    )
    st.caption(f"{count(space.size, 'setup')} in this space")
    budget = Budget(minutes=float(minutes))
    return Asked(
        "search", challenge, (config,), ("Your agents",), space=space, budget=budget, confirm=int(confirm)
    )
