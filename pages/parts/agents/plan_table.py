"""What each call of a run may receive at most, and whether it fits into its model's context."""

from __future__ import annotations

import streamlit as st

from moa_core import MoAConfig
from moa_core.runs.plan import Plan, plan_sync
from pages.parts import backend
from pages.parts.problems import Shown, show_problem
from pages.parts.stream import load_models
from pages.state.model_choice import dollars
from pages.state.text import as_plain, count

PLAN_KEY = "agents_plan"
SOMETIMES = ("thinking_tokens", "cost_usd")  # columns that most setups leave empty

_COLUMNS = {
    "layer": st.column_config.TextColumn("Layer", width="small"),
    "agent": st.column_config.TextColumn("Agent"),
    "model": st.column_config.TextColumn("Model"),
    "prompt_tokens": st.column_config.NumberColumn("Prompt", help="Prompt and question", format="localized"),
    "helper_tokens": st.column_config.NumberColumn("Earlier answers", help="At most", format="localized"),
    "max_tokens": st.column_config.NumberColumn("Own answer", help="At most", format="localized"),
    "thinking_tokens": st.column_config.NumberColumn(
        "Thinking", help="What it may think before its answer", format="localized"
    ),
    "total_tokens": st.column_config.NumberColumn("In all", format="localized"),
    "n_ctx": st.column_config.NumberColumn("Context", help="What the model holds", format="localized"),
    "fits": st.column_config.CheckboxColumn("Fits"),
    "cost_usd": st.column_config.NumberColumn("Cost", help="US dollars, at most", format="$%.6f"),
}


def show_plan(config: MoAConfig, question: str) -> None:
    """A button that counts, and the table of what it counted for this very setup."""
    st.caption(
        "Every layer hands its answers on, so prompts grow. The models' own tokenizers count what each call "
        "may receive at most."
    )
    if st.button("Count the tokens", icon=":material/calculate:", key="agents_count"):
        st.session_state[PLAN_KEY] = None
        try:
            load_models(config)
            with st.spinner("Counting"):
                counted = plan_sync(backend.routed(config), question, backend.providers())
        except Shown as exc:
            show_problem(exc)
            return
        st.session_state[PLAN_KEY] = (config, question, counted)
    kept = st.session_state.get(PLAN_KEY)
    if kept is not None and kept[:2] == (config, question):
        draw_plan(kept[2], question)


def draw_plan(plan: Plan, question: str) -> None:
    """The table, and in words whether the run fits."""
    table = plan.to_dataframe()
    table["layer"] = [
        "Summarizer" if call.role == "summarizer" else f"Layer {call.layer}" for call in plan.calls
    ]
    known = [name for name in SOMETIMES if table[name].fillna(0).any()]
    st.dataframe(
        table,
        hide_index=True,
        column_order=[name for name in _COLUMNS if name not in SOMETIMES or name in known],
        column_config=_COLUMNS,
        placeholder="–",
        alt=f"Tokens of {count(len(table), 'call')} at most, and what their models hold",
    )
    exact = "Counted by the models' own tokenizers" if table["is_exact"].all() else "Partly estimated"
    cost = ""
    if plan.cost_usd is not None:
        cost = f" This run costs at most {as_plain(dollars(plan.cost_usd))}, if no call has to be repeated."
    st.caption(f"Tokens for the question “{as_plain(question)}”. {exact}.{cost}")
    for note in plan.prompt_notes:
        st.caption(as_plain(note))
    try:
        plan.check()
    except Shown as exc:
        show_problem(exc)
