"""What the charts of algorithms share: their names, the grids they are drawn for, the figure."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from pages.parts.charts import with_legend_below
from pages.parts.wafer.chart import add_band, log_axis
from wse_backend.wafer.timing.interval import STACKED, bounds

SIDES = np.arange(60, 1001, 5)
ALGORITHM_NAMES = {
    "summa": "SUMMA",
    "cannon": "Cannon",
    "meshgemm": "MeshGEMM",
    "pipeline": "Pipeline",
    "ring": "Ring",
    "k-tree": "K-tree (K = 2)",
}


STACKED_COLUMNS = type(STACKED)(*(value[:, None] for value in STACKED.__dict__.values()))
"""Every refit's constants, to broadcast over an axis of grids: values come out as (1 + refits, grids)."""


def algorithm_figure(
    sides: np.ndarray, stacked: Mapping[str, np.ndarray], phase: str, y_title: str, unit: str
) -> go.Figure:
    """One curve for each algorithm over the grid's side; stacked: its values with STACKED_COLUMNS."""
    figure = go.Figure()
    for number, values in enumerate(stacked.values()):
        add_band(figure, sides, *bounds(values, phase), is_named=number == 0)
    curves = {name: values[0] for name, values in stacked.items()}
    for name, curve in curves.items():
        figure.add_scatter(
            x=sides,
            y=np.round(curve, 4),
            name=ALGORITHM_NAMES.get(name, name),
            mode="lines",
            hovertemplate=f"%{{y:.3g}} {unit}",
        )
    figure.update_layout(height=340, hovermode="x unified")
    figure.update_xaxes(title="PEs per side of the grid (P)")
    low, high = min(float(c.min()) for c in curves.values()), max(float(c.max()) for c in curves.values())
    log_axis(figure.update_yaxes, y_title, low / 1.3, high * 1.3)
    return with_legend_below(figure)
