"""What a run of the setup may take, live while it is edited: tokens, time, cost, and the fullest call."""

from __future__ import annotations

import streamlit as st

from moa_core import MoAConfig, MoAError
from moa_core.runs.plan import Plan, plan_sync
from pages.parts import backend
from pages.parts.competition.budget_line import draw_budget_line
from pages.parts.model_advice import expectation
from pages.parts.problems import show_problem
from pages.state.budget import Totals, place, share, totals
from pages.state.model_choice import dollars
from pages.state.session import Session
from pages.state.text import about, as_plain, capitalised, count, size

EXACT = "Prompts were counted by the models' own tokenizers"
ESTIMATED = "Prompts are estimated; a model that is in memory counts its own"


def draw_budget(session: Session, config: MoAConfig, question: str) -> None:
    """The bar of the present setup; every number is the most that a run can take."""
    try:
        plan = plan_sync(backend.routed(config), question, backend.known_models(config))
    except MoAError as exc:
        show_problem(exc)
        return
    found = totals(plan)
    with st.container(border=True, key="agents_budget"):
        st.markdown(f"**What a run may take** :gray[· {count(found.n_calls, 'call')}, at most]")
        _draw_numbers(session, config, found)
        _draw_fullest(found)
        _draw_refusal(plan, found)
        draw_budget_line(session, has_bars=True)
        _draw_basis(session, config, found, question)


def _draw_numbers(session: Session, config: MoAConfig, found: Totals) -> None:
    expected = expectation(session, config)
    numbers = {
        "Tokens read": f"{found.prompt_tokens:,}",
        "Tokens written": f"{found.answer_tokens:,}",
        "Time": capitalised(about(expected.most_s)),
    }
    if found.cost_usd is not None:
        numbers["Cost"] = dollars(found.cost_usd).replace("$", r"\$")
    with st.grid(len(numbers), min_column_width=110):
        for label, value in numbers.items():
            st.metric(label, value)


def _draw_fullest(found: Totals) -> None:
    """How full the fullest call's context may get, while all calls fit."""
    call = found.fullest
    if call is None or call.n_ctx is None or found.broken:
        return
    st.progress(
        min(1.0, share(call)),
        text=f"Fullest call: {as_plain(place(call))}, {call.total_tokens:,} of the {call.n_ctx:,} tokens "
        f"that {as_plain(call.model)} holds",
    )


def _draw_refusal(plan: Plan, found: Totals) -> None:
    """Every call that does not fit, and what to do; the run would be refused."""
    if not found.broken:
        return
    calls = "; ".join(f"{place(call)} {share(call):.0%} of {call.model}" for call in found.broken)
    st.caption(f":red[:material/error: Too large: {as_plain(calls)}]")
    try:
        plan.check()
    except MoAError as exc:
        show_problem(exc)


def _draw_basis(session: Session, config: MoAConfig, found: Totals, question: str) -> None:
    """What the numbers stand on."""
    basis = "from your runs here" if expectation(session, config).is_measured else "an estimate"
    to_fetch = backend.bytes_to_fetch(config)
    first = f" First {size(to_fetch)} of models have to be fetched." if to_fetch else ""
    st.caption(
        f"For the question “{as_plain(question)}”. {EXACT if found.is_exact else ESTIMATED}; the time is "
        f"{basis}.{first}"
    )
