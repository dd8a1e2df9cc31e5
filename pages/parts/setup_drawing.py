"""The current setup as a drawing: who answers at the same time, and who reads whom."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from pages.parts.charts import CHART_CONFIG, kept, with_readable_text
from pages.state.draft import Draft
from pages.state.setup_graph import Graph, setup_graph
from pages.state.text import count, shortened

NODE_PX, LABEL_CHARS = 30, 16
ROW_PX, FRAME_PX = 64, 96


def setup_figure(graph: Graph) -> go.Figure:
    """Boxes in columns with an arrow from each to all of the next; one colour per agent's name."""
    figure = go.Figure()
    names = list(dict.fromkeys(node.agent for node in graph.nodes if node.agent))
    for name in names:
        mine = [node for node in graph.nodes if node.agent == name]
        figure.add_scatter(
            x=[node.x for node in mine],
            y=[node.y for node in mine],
            mode="markers+text",
            text=[shortened(node.label, LABEL_CHARS) for node in mine],
            textposition="bottom center",
            marker={"size": NODE_PX, "symbol": "circle"},
            customdata=[node.model for node in mine],
            hovertemplate="%{text}<br>%{customdata}<extra></extra>",
            name=name,
        )
    ends = [node for node in graph.nodes if not node.agent]
    figure.add_scatter(
        x=[node.x for node in ends],
        y=[node.y for node in ends],
        mode="markers+text",
        text=[node.label for node in ends],
        textposition="bottom center",
        marker={"size": NODE_PX * 0.7, "symbol": "square", "color": "#948a80"},
        hoverinfo="skip",
    )
    # All at once: added one by one, Plotly checks the earlier ones again each time.
    figure.update_layout(annotations=[*_arrows(graph), *_titles(graph)])
    tallest = max(abs(node.y) for node in graph.nodes)
    figure.update_xaxes(visible=False, range=[-0.45, len(graph.columns) - 0.55], fixedrange=True)
    figure.update_yaxes(visible=False, range=[-tallest - 0.75, tallest + 0.5], fixedrange=True)
    figure.update_layout(
        showlegend=False,
        height=round(FRAME_PX + ROW_PX * (2 * tallest + 1)),
        margin={"l": 4, "r": 4, "t": 28, "b": 4},
    )
    return with_readable_text(figure)


def _arrows(graph: Graph) -> Iterator[dict[str, Any]]:
    """An annotation per arrow, from box to box."""
    for start, end in graph.arrows:
        a, b = graph.nodes[start], graph.nodes[end]
        yield {
            "x": b.x,
            "y": b.y,
            "ax": a.x,
            "ay": a.y,
            "xref": "x",
            "yref": "y",
            "axref": "x",
            "ayref": "y",
            "showarrow": True,
            "arrowhead": 2,
            "arrowwidth": 1.2,
            "arrowcolor": "rgba(128,120,112,0.75)",
            "standoff": 17,
            "startstandoff": 17,
        }


def _titles(graph: Graph) -> Iterator[dict[str, Any]]:
    """An annotation over each column."""
    for number, title in enumerate(graph.columns):
        yield {"x": number, "y": 1, "yref": "paper", "yanchor": "bottom", "text": title, "showarrow": False}


def draw_setup(draft: Draft, key: str) -> None:
    """The drawing, and in words for who cannot see it."""
    graph = setup_graph(draft)
    agents = sum(1 for node in graph.nodes if node.agent)
    st.plotly_chart(
        kept(setup_figure, graph),
        config=CHART_CONFIG,
        key=key,
        alt=f"{count(agents, 'call')}: "
        + "; ".join(f"{node.label} with {node.model}" for node in graph.nodes if node.agent),
    )
