"""WaferLLM's GEMV across grids: the model's time, beside the one that was measured on the best grid."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from pages.parts.charts import with_legend_below
from pages.parts.wafer.algorithms import SIDES, STACKED_COLUMNS
from pages.parts.wafer.chart import KIND_COLORS, Chart, add_band, duration_between, log_axis
from pages.parts.wafer.view import View
from wse_backend.wafer import gpu
from wse_backend.wafer.spec import WSE2
from wse_backend.wafer.timing import gemv
from wse_backend.wafer.timing.fitted import RESIDUALS
from wse_backend.wafer.timing.interval import bounds, interval
from wse_backend.wafer.timing.phases import gemv_seconds

TAB, ORDER = "Algorithms", 30


def draw(view: View) -> tuple[Chart, ...]:
    """A GEMV of 16,384 x 16,384 on a WSE-2, the one that WaferLLM and its GPU rows publish."""
    del view
    row = next(row for row in RESIDUALS if row.phase == "gemv")
    m, n = (int(side) for side in row.model.split("x"))
    sides = SIDES[WSE2.largest_square >= SIDES]
    best = gemv(m, n, WSE2).grid[0]
    sure = interval(lambda constants: gemv_seconds(m, n, WSE2, best, constants=constants), "decode")
    figure = go.Figure()
    stacked = 1e6 * gemv_seconds(m, n, WSE2, sides, constants=STACKED_COLUMNS)
    add_band(figure, sides, *bounds(stacked, "decode"))
    figure.add_scatter(
        x=sides,
        y=np.round(stacked[0], 4),
        name="Modelled",
        mode="lines",
        line={"color": KIND_COLORS["modelled"]},
        hovertemplate="%{y:.3g} µs",
    )
    figure.add_scatter(
        x=[best],
        y=[row.measured * 1e3],
        name="Measured, best grid (WaferLLM)",
        mode="markers",
        marker={"size": 11, "symbol": "diamond", "color": KIND_COLORS["measured"]},
        hovertemplate="%{y:.3g} µs",
    )
    figure.update_layout(height=340, hovermode="x unified")
    figure.update_xaxes(title="PEs per side of the grid (P)")
    log_axis(figure.update_yaxes, "Microseconds (logarithmic)", 0.5, 100)
    gpus = {found.gpus: found.value for found in gpu.SGLANG_A100 if found.phase == "gemv"}
    chart = Chart(
        "A product with a vector, on grids of every size",
        with_legend_below(figure),
        f"A vector of {m:,} and a matrix of {m:,} x {n:,} on a WSE-2: best on {best} x {best} PEs with "
        f"{duration_between(sure)}; measured 1.2 µs, on a grid that is not published. On an A100 measured "
        f"{gpus[1] * 1e3:.0f} µs, on eight measured {gpus[8] * 1e3:.0f} µs (same source): they read the "
        "matrix from memory.",
        "Curve of microseconds over the grid's side with its lowest point near the measured diamond",
        ("modelled", "measured"),
    )
    return (chart,)
