"""Draws where a router sent the tokens of a text: over all layers, token by token, and how evenly."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from moa_core import CallRecord
from pages.parts.charts import CHART_CONFIG, tick_step, with_readable_text
from pages.parts.files import offer_file
from pages.state.routing import (
    RUNS_KEPT,
    balance,
    routed_calls,
    router_trace,
    token_rows,
    trace_json,
    use_of_experts,
    weights_of_token,
)
from pages.state.text import as_plain, count
from pages.state.turn import Turn
from wse_backend.engine.completion import RoutedTokens

EVERYBODY = "All agents together"
TABLE_HEIGHT_PX = 320
_COLORBAR = {  # above the map: beside it, it takes most of a phone's width
    "orientation": "h",
    "x": 0,
    "xanchor": "left",
    "y": 1.02,
    "yanchor": "bottom",
    "len": 0.6,
    "thickness": 10,
    "tickformat": ".0%",
    "nticks": 5,
}
COLUMNS = {
    "token": st.column_config.TextColumn("Token", width="small"),
    "part": st.column_config.TextColumn("Of the", width="small"),
    "experts": st.column_config.TextColumn("Experts (share)", width="large"),
}


@st.fragment
def show_routes_of_run(turn: Turn, *, key: str) -> None:
    """Of each model with experts in a run: where its agents' tokens went. Draws nothing without any."""
    for model, calls in routed_calls(turn.records).items():
        st.markdown(f"**Which experts the tokens went to** · {as_plain(model)}")
        show_routes({_name(call): call.routing for call in calls}, key=f"{key}_{model}")
        dropped = sum(call.routing.n_left_out for call in calls)
        left_out = f", {count(dropped, 'token')} left out for their number" if dropped else ""
        st.caption(
            "Recorded by the engine in the passes of this run; tokens of a prompt that came from the cache "
            f"were not computed again{left_out}. Kept for a session's last {RUNS_KEPT} runs, and no part of "
            "a saved conversation."
        )
        trace = router_trace(calls)
        if trace is not None:
            offer_file(
                "Save the choices as a router trace (JSON)",
                partial(trace_json, trace),
                "router_trace.json",
                key=f"{key}_{model}_save",
                icon="download",
            )


def _name(call: CallRecord) -> str:
    where = "" if call.role == "summarizer" else f", agent layer {call.layer}"
    return f"{call.agent}{where}"


def show_routes(texts: Mapping[str, RoutedTokens], *, key: str) -> None:
    """The heat map of one text or of all, its balance, and a table of tokens of which one can be opened."""
    names = list(texts) if len(texts) == 1 else [EVERYBODY, *texts]
    chosen = names[0]
    if len(names) > 1:
        chosen = st.selectbox("Whose tokens", names, key=f"{key}_whose")
    shown = list(texts.values()) if chosen == EVERYBODY else [texts[chosen]]
    use = use_of_experts(shown)
    n_tokens = sum(len(routed.texts) for routed in shown)
    n_experts, n_active = shown[0].n_experts, shown[0].chosen.shape[2]
    heat_map(use, "Expert", "Share of the layer's choices", f"{key}_map")
    found = balance(use)
    st.caption(
        f"{count(n_tokens, 'token')}, each given to {n_active} of {n_experts} experts per layer. Entropy of "
        f"the choices: {found.bits.mean():.2f} bits on average over the layers, {found.bits.min():.2f} at "
        f"least; all experts used alike would be {math.log2(n_experts):.2f}. The busiest expert of a layer "
        f"gets {found.busiest:.2f} times the mean."
    )
    if chosen == EVERYBODY:
        st.caption("Choose one agent to see its tokens one by one.")
    else:
        _show_tokens(texts[chosen], key)


def _show_tokens(routed: RoutedTokens, key: str) -> None:
    """The tokens of one text with their experts in one layer; the chosen token's in all layers."""
    n_layers = routed.chosen.shape[1]
    layer = st.slider("Transformer layer", 0, n_layers - 1, 0, key=f"{key}_layer") if n_layers > 1 else 0
    picked = st.dataframe(
        pd.DataFrame(token_rows(routed, layer)),
        hide_index=True,
        height=TABLE_HEIGHT_PX,
        column_config=COLUMNS,
        key=f"{key}_tokens",
        on_select="rerun",
        selection_mode="single-row-required",
        selection_default={"selection": {"rows": [_last_whole(routed)]}},
        alt=f"Experts that {count(len(routed.texts), 'token')} were given to in transformer layer {layer}",
    )
    rows = picked["selection"]["rows"]
    if rows and rows[0] < len(routed.texts):
        token = int(rows[0])
        st.markdown(
            f"**Token {token + 1}**, {as_plain(repr(routed.texts[token]))}: its experts in every layer"
        )
        heat_map(weights_of_token(routed, token), "Expert", "Weight of the expert", f"{key}_token_map")


def _last_whole(routed: RoutedTokens) -> int:
    """The last token that every layer was computed for."""
    whole = np.flatnonzero((routed.chosen < routed.n_experts).all(axis=(1, 2)))
    return int(whole[-1]) if len(whole) else len(routed.texts) - 1


def heat_map(values: npt.NDArray[np.float64], x: str, what: str, key: str) -> None:
    """Shares over layers (from the top) and experts or groups. values: (n_layers, experts)."""
    hover = f"{x.lower()} %{{x}}, layer %{{y}}: %{{z:.1%}}<extra></extra>"
    figure = go.Figure(go.Heatmap(z=np.round(values, 4), coloraxis="coloraxis", hovertemplate=hover))
    figure.update_layout(
        height=min(660, 190 + 12 * max(10, len(values))),
        margin={"l": 8, "r": 8, "t": 20, "b": 8},
        coloraxis={"colorbar": _COLORBAR | {"title": {"text": what, "side": "top"}}, "cmin": 0},
    )
    figure.update_xaxes(title=x, dtick=tick_step(values.shape[1]), showgrid=False)
    figure.update_yaxes(
        title="Transformer layer", autorange="reversed", dtick=tick_step(len(values)), showgrid=False
    )
    st.plotly_chart(
        with_readable_text(figure),
        key=key,
        config=CHART_CONFIG,
        alt=f"{what}, for {values.shape[1]} of each of {len(values)} transformer layers",
    )
