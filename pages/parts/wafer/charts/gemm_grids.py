"""WaferLLM's product of two matrices across grids, as the six constants predict it."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from pages.parts.charts import with_legend_below
from pages.parts.wafer.algorithms import SIDES, STACKED_COLUMNS
from pages.parts.wafer.chart import Chart, add_band, duration_between, log_axis
from pages.parts.wafer.view import View
from wse_backend.wafer.spec import WSE2
from wse_backend.wafer.timing.baselines import gemm_seconds
from wse_backend.wafer.timing.interval import bounds, interval

TAB, ORDER = "Algorithms", 35
SIZES = (2048, 4096, 8192)


def draw(view: View) -> tuple[Chart, ...]:
    """Square products of three sizes on a WSE-2."""
    del view
    sides = SIDES[WSE2.largest_square >= SIDES]
    figure = go.Figure()
    stacked = [
        1e3 * gemm_seconds("meshgemm", (size, size, size), sides, WSE2, constants=STACKED_COLUMNS)
        for size in SIZES
    ]
    for number, values in enumerate(stacked):
        add_band(figure, sides, *bounds(values, "prefill"), is_named=number == 0)
    for size, values in zip(SIZES, stacked, strict=True):
        figure.add_scatter(
            x=sides,
            y=np.round(values[0], 4),
            name=f"{size:,} x {size:,}",
            mode="lines",
            hovertemplate="%{y:.3g} ms",
        )
    figure.update_layout(height=340, hovermode="x unified")
    figure.update_xaxes(title="PEs per side of the grid (P)")
    log_axis(figure.update_yaxes, "Milliseconds (logarithmic)", 0.1, 300)
    at, size = 720, SIZES[1]
    sure = interval(
        lambda constants: gemm_seconds("meshgemm", (size, size, size), at, WSE2, constants=constants),
        "prefill",
    )
    chart = Chart(
        "A product of two matrices, on grids of every size",
        with_legend_below(figure),
        f"MeshGEMM on a WSE-2: {size:,} x {size:,} takes {duration_between(sure)} on {at} x {at} PEs. Small "
        "products stop gaining early, because every step has its fixed cost and there are P of them. The "
        "calibration file holds no measured product of its own: prefill's rows, which consist of them, "
        "stand in for one.",
        "Three falling curves of milliseconds over the grid's side, one for each matrix size",
    )
    return (chart,)
