"""Ideas of the Learn page that a model in memory draws: what it computes on a typed text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from moa_core import MoAConfig
from pages.parts import backend
from pages.parts.charts import CHART_CONFIG, with_legend_below
from pages.parts.problems import show_problem
from pages.parts.router_view import show_routes
from pages.parts.stream import load_models
from pages.state import ideas
from pages.state.advice import Shown
from pages.state.text import as_plain

if TYPE_CHECKING:
    from wse_backend import Engine

START_OF_TEXT = "The capital of France is"
ATTENTION_TEXT = "The cat sat on the mat because it was tired"
MAX_TEXT, MAX_TOKENS = 300, 40
ROW_PX, FRAME_PX = 22, 130


def loaded_engine(*, has_experts: bool = False) -> Engine | None:
    """The model that was loaded last, or the last one with experts; None when there is none."""
    found = [engine for engine in backend.engine_pool().loaded() if not engine.is_closed]
    return next((engine for engine in reversed(found) if engine.n_experts or not has_experts), None)


def offer_to_load() -> None:
    """Where a chart needs a model: the button that brings one."""
    if st.button("Load the default model", icon=":material/memory:", key="learn_load"):
        try:
            load_models(MoAConfig.default())
        except Shown as exc:
            show_problem(exc)
            return
        st.rerun()
    st.caption("The chart is drawn from a model that runs in this app; none is loaded yet.")


def draw_next_token() -> None:
    """The likeliest next tokens after a typed text."""
    text = st.text_input("A text to go on with", START_OF_TEXT, key="learn_text", max_chars=MAX_TEXT)
    temperature = st.slider("Temperature", 0.1, 2.0, 0.7, 0.1, key="learn_temperature")
    engine = loaded_engine()
    if engine is None:
        offer_to_load()
        return
    ids = engine.tokenize(text or START_OF_TEXT)[-200:]
    logits = np.asarray(engine.logits(ids)[-1])
    likely = ideas.likely_tokens(logits, lambda token: engine.detokenize([token]), temperature, 8)
    figure = go.Figure()
    figure.add_bar(
        y=[repr(word) for word, _ in likely],
        x=[share for _, share in likely],
        orientation="h",
        text=[f"{share:.1%}" for _, share in likely],
        textposition="auto",
        hovertemplate="%{text}<extra></extra>",
    )
    figure.update_xaxes(title="Probability of being the next token", tickformat=".0%", rangemode="tozero")
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_layout(height=90 + 38 * len(likely), showlegend=False)
    _show(figure, "token", "The likeliest next tokens and their probabilities")
    st.caption(f"Computed here by {as_plain(engine.name)}, on this very text.")


def draw_attention() -> None:
    """How much each token of a typed text takes of those before it, in one transformer layer."""
    text = st.text_input(
        "A text to look into", ATTENTION_TEXT, key="learn_attention_text", max_chars=MAX_TEXT
    )
    engine = loaded_engine()
    if engine is None:
        offer_to_load()
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        # Keys that know the model: another one has other layers and heads.
        layer = st.slider(
            "Transformer layer",
            1,
            engine.n_layers,
            engine.n_layers // 2,
            key=f"learn_al_{engine.name}",
            width=220,
        )
        is_mean = st.toggle("Mean of all heads", True, key="learn_attention_mean")
        head = st.slider(
            "Head", 1, engine.n_heads, 1, key=f"learn_ah_{engine.name}", width=220, disabled=is_mean
        )
    ids = engine.tokenize(text or ATTENTION_TEXT)[:MAX_TOKENS]
    weights = engine.attention(ids, layer - 1)
    shown = weights.mean(axis=0) if is_mean else weights[head - 1]
    words = [engine.detokenize([token]) for token in ids]
    _show(
        attention_figure(shown, words), "attention", f"How much each of {len(ids)} tokens takes of each other"
    )
    st.caption(
        f"{as_plain(ideas.looks_at(shown, words))} Computed here by {as_plain(engine.name)}: row by row, how "
        "much a token takes of itself and of each one before it; a row adds up to 100 %. Many heads rest on "
        "the first token when there is nothing to look for."
    )


def attention_figure(weights: np.ndarray, words: list[str]) -> go.Figure:
    """A square of tokens by tokens; what a token cannot see, because it comes later, is left empty."""
    n = len(words)
    visible = np.where(np.tril(np.ones((n, n), bool)), weights, np.nan)
    # Equal words are different tokens, so the axes count and the words are only their labels.
    labels = {"tickvals": list(range(n)), "ticktext": [word.strip() or repr(word) for word in words]}
    figure = go.Figure(
        go.Heatmap(
            z=visible.round(4).tolist(),
            colorscale="Blues",
            zmin=0,
            xgap=1,
            ygap=1,
            hovertemplate="row %{y}, column %{x}: %{z:.1%}<extra></extra>",
            colorbar={"tickformat": ".0%", "thickness": 12},
        )
    )
    figure.update_xaxes(title="is looked at", tickangle=-60, showgrid=False, **labels)
    figure.update_yaxes(title="This token", autorange="reversed", showgrid=False, **labels)
    figure.update_layout(height=FRAME_PX + ROW_PX * max(n, 6))
    return figure


def draw_routing(engine: Engine) -> None:
    """Which experts the tokens of a typed text go to, in a model that has some."""
    text = st.text_input("A text to route", START_OF_TEXT, key="learn_router_text", max_chars=MAX_TEXT)
    routed = engine.routing(engine.tokenize(text or START_OF_TEXT)[:MAX_TOKENS])
    show_routes({text: routed}, key="learn_router")
    st.caption(f"Computed here by {as_plain(engine.name)}, on this very text.")


def _show(figure: go.Figure, key: str, alt: str) -> None:
    st.plotly_chart(with_legend_below(figure), config=CHART_CONFIG, key=f"learn_{key}", alt=alt)
