"""Where the experts of one transformer layer lie, and how many tokens of a prompt each of them gets."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from pages.parts.wafer.chart import KIND_COLORS, NEUTRAL, TEXT, Chart
from pages.parts.wafer.view import View
from pages.state.text import as_plain
from pages.state.wafer_experts import expert_loads, layer_of_experts
from wse_backend.wafer.routing import Routing
from wse_backend.wafer.sram import bands
from wse_backend.wafer.timing.experts import block_sides, check_blocks, expert_bands

TAB, ORDER = "Experts", 10


def is_shown(view: View) -> bool:
    """Whether the model has experts."""
    return view.setting.model.n_experts > 0


def draw(view: View) -> tuple[Chart, ...]:
    """A block for each expert, coloured by its tokens, and the loads. Raises InvalidParams (too few PEs)."""
    setting, model = view.setting, view.setting.model
    region = layer_of_experts(view.placement)
    loads, kind = expert_loads(setting)
    columns, rows = region.grid
    check_blocks(model, columns, rows, Routing("blocks"))
    blocks = bands(columns, rows, [1] * model.n_experts, expert_bands(model.n_experts))
    return _map(view, blocks, loads, kind), _loads(view, loads, kind)


def _map(view: View, blocks: list[tuple[int, int, int, int]], loads: np.ndarray, kind: str) -> Chart:
    model = view.setting.model
    region = layer_of_experts(view.placement)
    columns, rows = region.grid
    figure = go.Figure()
    figure.add_scatter(
        x=[x + wide / 2 for x, _, wide, _ in blocks],
        y=[y + high / 2 for _, y, _, high in blocks],
        mode="markers",
        marker={
            "symbol": "square",
            "size": 16,
            "color": loads.tolist(),
            "coloraxis": "coloraxis",
            "line": {"width": 0},
        },
        customdata=np.arange(model.n_experts),
        hovertemplate="expert %{customdata}: %{marker.color:,} tokens<extra></extra>",
    )
    x: list[float | None] = []
    y: list[float | None] = []
    for left, top, wide, high in blocks:
        x += [left, left + wide, left + wide, left, left, None]
        y += [top, top, top + high, top + high, top, None]
    figure.add_scatter(x=x, y=y, mode="lines", line={"width": 0.7, "color": NEUTRAL}, hoverinfo="skip")
    figure.update_layout(
        height=420,
        showlegend=False,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        coloraxis={
            "colorbar": {
                "title": {"text": "Tokens", "font": {"color": TEXT}},
                "tickfont": {"color": TEXT},
                "thickness": 10,
            },
            "cmin": 0,
        },
    )
    figure.update_xaxes(title="PE column of the region", range=[0, columns], showgrid=False)
    figure.update_yaxes(title="PE row", range=[rows, 0], showgrid=False)
    smallest = block_sides(model.n_experts, np.asarray(columns), np.asarray(rows))
    return Chart(
        f"{model.n_experts} experts of transformer layer {region.layers[0]}, a block each",
        figure,
        f"The region of {columns} x {rows} PEs in blocks of {smallest[0]} x {smallest[1]} and more; a token "
        f"of {as_plain(model.name)} visits {model.n_experts_active} of them. Colours: tokens of a prompt of "
        f"{view.setting.prompt_tokens:,}, by a {kind} router trace.",
        f"Map of {model.n_experts} blocks in one region, coloured by the tokens that their experts get",
        (("measured", "modelled") if kind == "measured" else ("modelled",)),
    )


def _loads(view: View, loads: np.ndarray, kind: str) -> Chart:
    model, tokens = view.setting.model, view.setting.prompt_tokens
    ordered, mean = np.sort(loads)[::-1], float(loads.mean())
    figure = go.Figure()
    figure.add_bar(
        x=np.arange(len(ordered)),
        y=ordered,
        name="Tokens",
        showlegend=False,
        marker={"color": KIND_COLORS["modelled"]},
        hovertemplate="%{y:,} tokens",
    )
    figure.add_hline(y=mean, line={"dash": "dash", "width": 1.5, "color": NEUTRAL})
    figure.update_layout(height=420, bargap=0.1, margin={"l": 8, "r": 8, "t": 8, "b": 8})
    figure.update_xaxes(title="Experts, busiest first")
    figure.update_yaxes(title=f"Tokens of {tokens:,}", rangemode="tozero")
    found = view.setting.routing(max(tokens, 1)).imbalance
    return Chart(
        "How unevenly tokens fall",
        figure,
        f"The busiest of {model.n_experts} experts gets {int(ordered[0]):,} tokens, {found:.2f} times the "
        f"mean of {mean:,.1f} over the layers of a {kind} trace. In blocks everybody waits for it; spread "
        "over the region no expert has PEs of its own, and nobody waits.",
        "Bars of tokens for every expert, falling from the busiest, with the mean as a dashed line",
        (("measured", "modelled") if kind == "measured" else ("modelled",)),
    )
