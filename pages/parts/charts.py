"""Plotly figures from plain data. Colours come from the theme (.streamlit/config.toml), never from here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import FunctionType
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

# Legend names of the engine's operation groups (wse_backend.OP_GROUPS), in the words of a reader.
GROUP_NAMES: Mapping[str, str] = {
    "norm": "Norms",
    "qkv": "Q, K, V projections",
    "attention": "Attention",
    "output": "Output projection",
    "ffn": "Feed-forward",
    "head": "LM head",
}

CHART_CONFIG: dict[str, Any] = {
    "displayModeBar": False
}  # for st.plotly_chart(config=...): no tool bar over the bars

KEPT_FIGURES = 200


def kept(build: Callable[..., go.Figure], *data: Any) -> go.Figure:
    """The figure that `build` makes of `data`, built once for every browser with the same data and theme.

    For charts that stay while their page is drawn again and again: Plotly checks each property it is given,
    5 to 20 ms of the processor for a small chart. build: a function of a module, not of a page, which is
    another one at each rerun. Nobody changes the figure.
    """
    return _kept(build, data, axis_colour())


@st.cache_resource(
    show_spinner=False,
    max_entries=KEPT_FIGURES,
    hash_funcs={FunctionType: lambda build: (build.__module__, build.__qualname__, hash(build.__code__))},
)
def _kept(build: Callable[..., go.Figure], data: tuple[Any, ...], colour: str | None) -> go.Figure:
    del colour  # a part of the key: `with_readable_text` asks for it
    return build(*data)


def layer_bars(
    layers_ms: np.ndarray, groups: Sequence[str], *, y_title: str, height_px: int = 300
) -> go.Figure:
    """Stacked bars, one per transformer layer, one colour per operation group.

    layers_ms: float64 (n_layers, len(groups)), milliseconds. The x axis counts layers from 0, as the
    tensor names in a GGUF file do (blk.0 ...).
    """
    n_layers = layers_ms.shape[0]
    figure = go.Figure()
    for column, group in enumerate(groups):
        figure.add_bar(
            x=list(range(n_layers)),
            y=np.round(layers_ms[:, column], 4).tolist(),
            name=GROUP_NAMES.get(group, group),
            hovertemplate="%{y:.3f} ms",
        )
    figure.update_layout(barmode="stack", bargap=0.15, height=height_px, hovermode="x unified")
    figure.update_xaxes(title="Transformer layer", dtick=tick_step(n_layers), showgrid=False)
    figure.update_yaxes(title=y_title, rangemode="tozero")
    return with_legend_below(figure)


def category_bars(names: Sequence[str], earned: Sequence[float], most: Sequence[float]) -> go.Figure:
    """One horizontal bar per category: points earned, then points lost up to what it pays."""
    figure = go.Figure()
    lost = [of - got for got, of in zip(earned, most, strict=True)]
    figure.add_bar(
        y=list(names),
        x=list(earned),
        name="Earned",
        orientation="h",
        text=[f"{got:g} of {of:g}" for got, of in zip(earned, most, strict=True)],
        textposition="auto",
        hovertemplate="%{x:.1f} points earned<extra></extra>",
    )
    figure.add_bar(
        y=list(names),
        x=lost,
        name="Lost",
        orientation="h",
        marker={"color": "rgba(128,128,128,0.28)"},
        hovertemplate="%{x:.1f} points lost<extra></extra>",
    )
    figure.update_layout(barmode="stack", bargap=0.35, height=84 + 36 * len(names))
    figure.update_xaxes(title="Points", rangemode="tozero")
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return with_legend_below(figure)


def with_legend_below(figure: go.Figure) -> go.Figure:
    """The legend as one line over the plot, and margins that waste no space."""
    figure.update_layout(
        legend={
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "y": 1.02,
            "yanchor": "bottom",
            "title": None,
            "traceorder": "normal",
        },
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
    )
    return with_readable_text(figure)


def with_readable_text(figure: go.Figure) -> go.Figure:
    """All words of a figure in the theme's grey for text: ticks, titles, legend, annotations, colour bars."""
    colour = axis_colour()
    figure.update_layout(font={"color": colour}, legend={"font": {"color": colour}})
    figure.update_annotations(font={"color": colour})
    bar = {"tickfont": {"color": colour}, "title": {"font": {"color": colour}}}
    figure.update_traces(colorbar=bar, selector={"type": "heatmap"})
    if figure.layout.coloraxis.colorbar.thickness is not None:
        figure.update_layout(coloraxis={"colorbar": bar})
    figure.update_xaxes(tickfont={"color": colour}, title_font={"color": colour})
    figure.update_yaxes(tickfont={"color": colour}, title_font={"color": colour})
    return figure


def axis_colour() -> str | None:
    """The theme's grey for text: Streamlit's own for axes has a contrast of 3.7 on white. None: as it is."""
    kind = st.context.theme.type
    return st.get_option(f"theme.{kind}.grayTextColor") if kind in ("light", "dark") else None


def tick_step(n_layers: int) -> int:
    """A round distance between axis ticks that leaves at most about 16 of them."""
    return next((step for step in (1, 2, 5, 10, 20) if n_layers / step <= 16), 50)
