"""What one run took: four numbers, a table of its calls, and the chart of its transformer layers."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from pages.parts import charts
from pages.parts.lanes import draw_lanes
from pages.state.lanes import lanes_of
from pages.state.measured import PhaseTotal, call_rows, measured_models, phase_total, run_totals
from pages.state.model_choice import dollars
from pages.state.text import as_plain, count, seconds
from pages.state.turn import Turn
from wse_backend import OP_GROUPS

LAYER_GROUPS = OP_GROUPS[:5]
PHASE_TITLES = {"prefill": "Prefill: reading the prompts", "decode": "Decode: writing the answers"}

_COLUMNS = {
    "layer": st.column_config.TextColumn("Layer", width="small"),
    "agent": st.column_config.TextColumn("Agent"),
    "model": st.column_config.TextColumn("Model"),
    "prompt_tokens": st.column_config.NumberColumn("Prompt", help="Tokens of the prompt", format="localized"),
    "cached_tokens": st.column_config.NumberColumn("Cached", help="Prompt tokens reused from the cache"),
    "completion_tokens": st.column_config.NumberColumn("Written", help="Tokens written", format="localized"),
    "reasoning_tokens": st.column_config.NumberColumn(
        "Thinking", help="Of them spent on thinking", format="localized"
    ),
    "start_s": st.column_config.NumberColumn("Start (s)", help="Seconds after the run began", format="%.2f"),
    "first_token_s": st.column_config.NumberColumn(
        "First token (s)", help="Seconds from the call's start to its first token", format="%.2f"
    ),
    "total_s": st.column_config.NumberColumn("Total (s)", help="Seconds from start to end", format="%.2f"),
    "tokens_per_s": st.column_config.NumberColumn(
        "Tokens/s", help="Tokens per second after the first token", format="%.1f"
    ),
    "queue_s": st.column_config.NumberColumn("Server's queue (s)", help="As the server says", format="%.2f"),
    "cost_usd": st.column_config.NumberColumn("Cost", help="US dollars", format="$%.6f"),
    "problem": st.column_config.TextColumn("Problem"),
}
SOMETIMES = ("reasoning_tokens", "queue_s", "cost_usd")  # columns that many runs leave empty
COST_HELP = "At the prices that the servers list now, tokens from their cache at their own price."


def show_totals(turn: Turn) -> None:
    """Four numbers in a row, and the cost where prices are known."""
    totals = run_totals(turn.records, turn.total_s)
    with st.grid(4 if totals.cost_usd is None else 5, min_column_width=110):
        st.metric("Whole run", seconds(totals.total_s), border=True)
        first = "–" if totals.answer_after_s is None else seconds(totals.answer_after_s)
        st.metric("Answer began after", first, border=True)
        written = "–" if totals.completion_tokens is None else f"{totals.completion_tokens:,}"
        st.metric("Tokens written", written, border=True)
        rate = (totals.completion_tokens or 0) / totals.total_s if totals.total_s else 0.0
        st.metric("Tokens per second", f"{rate:.1f}" if rate else "–", border=True)
        if totals.cost_usd is not None:
            st.metric("Cost", dollars(totals.cost_usd).replace("$", r"\$"), border=True, help=COST_HELP)


def show_calls(turn: Turn) -> None:
    """One row per call."""
    rows = pd.DataFrame(call_rows(turn.records))
    if not any(rows["problem"]):
        rows = rows.drop(columns="problem")
    rows = rows.drop(columns=[name for name in SOMETIMES if not rows[name].fillna(0).any()])
    st.dataframe(
        rows,
        hide_index=True,
        column_config=_COLUMNS,
        placeholder="–",
        alt=f"{count(len(rows), 'call')} of this run with their tokens and seconds",
    )
    st.caption("Every call of this run, measured on this machine. Agents of a layer run at the same time.")


def show_timeline(turn: Turn, *, key: str) -> None:
    """A lane per agent: when each call waited and wrote."""
    draw_lanes(lanes_of(turn), turn.total_s, key)
    st.caption(
        "A layer starts when the slowest agent of the layer before it is done. Measured on this machine"
        + (
            "."
            if measured_models(turn.records)
            else "; for models in the cloud, the way there and back included."
        )
    )


def show_layer_charts(turn: Turn, *, key: str, phases: tuple[str, ...] = ("decode",)) -> bool:
    """Stacked bars per transformer layer for each phase; False when no call of the run was in-process."""
    models = measured_models(turn.records)
    for model in models:
        totals = [total for phase in phases if (total := phase_total(turn.records, model, phase))]
        for total in totals:
            st.markdown(f"**{PHASE_TITLES[total.phase]}** · {as_plain(model)}")
            st.plotly_chart(
                charts.layer_bars(total.layers_ms_per_pass, LAYER_GROUPS, y_title="Milliseconds per pass"),
                config=charts.CHART_CONFIG,
                key=f"{key}_{total.phase}_{model}",
                alt=f"Milliseconds per transformer layer in {total.phase} of {model}, stacked by operation",
            )
            st.caption(phase_caption(total))
    return bool(models)


def phase_caption(total: PhaseTotal) -> str:
    """The chart's story in a sentence or two, and that its numbers are measured."""
    by_group = total.layers_ms_per_pass.sum(axis=0)
    share = by_group.max() / by_group.sum()
    biggest = charts.GROUP_NAMES[LAYER_GROUPS[int(by_group.argmax())]].lower()
    drafts = (
        ", drafted from the text so far and checked by the model" if total.tokens_per_pass >= 1.05 else ""
    )
    what = (
        f"One pass writes {total.tokens_written} for every agent that is busy{drafts}"
        if total.phase == "decode"
        else f"One pass reads {total.tokens_per_pass:.0f} tokens of an agent's prompt on average"
    )
    return (
        f"{what}: {total.pass_ms:.1f} ms in all, {total.head_ms_per_pass:.1f} ms of them in the LM head. "
        f"{share:.0%} of the layers' time goes into {biggest}. Measured on this machine; mean over the "
        f"{total.passes:,} passes that the {count(total.calls, 'call')} waited for."
    )
