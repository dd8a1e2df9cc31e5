"""Cache shifted over all rows against concatenated in the last one: tokens held, modelled and measured."""

from __future__ import annotations

import plotly.graph_objects as go

from pages.parts.charts import with_legend_below
from pages.parts.wafer.chart import KIND_COLORS, Chart, log_axis
from pages.parts.wafer.view import View
from pages.state.wafer_evidence import capacity_rows

TAB, ORDER = "Algorithms", 40
NAMES = {"Capacity (shift)": "Shifted over all rows", "Capacity (concat)": "Last row first"}


def draw(view: View) -> tuple[Chart, ...]:
    """The two layouts that WaferLLM measured, as points: the axis is logarithmic."""
    del view
    rows = capacity_rows()
    figure = go.Figure()
    for kind in ("modelled", "measured"):
        column = "predicted" if kind == "modelled" else "measured"
        figure.add_scatter(
            x=[row[column] for row in rows],
            y=[NAMES[row["phase"]] for row in rows],
            name=f"{kind.capitalize()}{' (WaferLLM)' if kind == 'measured' else ''}",
            mode="markers",
            marker={
                "size": 13,
                "symbol": "circle" if kind == "modelled" else "diamond",
                "color": KIND_COLORS[kind],
            },
            hovertemplate="%{x:,.0f} tokens",
        )
    figure.update_layout(height=220)
    log_axis(figure.update_xaxes, "Tokens of one sequence that fit (logarithmic)", 100, 500_000)
    figure.update_yaxes(range=[-0.6, 1.6], showgrid=False)
    shift, concat = rows
    chart = Chart(
        "Where the cache lies",
        with_legend_below(figure),
        "llama3-8b on regions of 360 x 360 PEs: shifting every new token's keys and values on by a row "
        f"holds {shift['predicted']:,.0f} tokens (measured {shift['measured']:,.0f}), filling the last row "
        f"first {concat['predicted']:,.0f} (measured {concat['measured']:,.0f}): one row is full while 359 "
        "are empty. Nothing is fitted to these rows; take modelled capacities as right within tens of "
        "percent.",
        "Points of tokens held by two cache layouts, modelled beside measured, 360 times apart",
        ("modelled", "measured"),
    )
    return (chart,)
