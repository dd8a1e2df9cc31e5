"""MeshGEMM beside Cannon and SUMMA for the model's FFN product."""

from __future__ import annotations

from pages.parts.wafer.algorithms import SIDES, algorithm_figure
from pages.parts.wafer.chart import Chart
from pages.parts.wafer.view import View
from wse_backend.wafer.timing.baselines import GEMMS, gemm_seconds

TAB, ORDER = "Algorithms", 10


def draw(view: View) -> tuple[Chart, ...]:
    """Milliseconds over the grid's side."""
    model, spec = view.setting.model, view.setting.spec
    size = (view.setting.prompt_tokens, model.dim, model.hidden_dim)
    sides = SIDES[spec.largest_square >= SIDES]
    curves = {name: gemm_seconds(name, size, sides, spec) * 1e3 for name in GEMMS}
    ratio = {name: float(curve[-1] / curves["meshgemm"][-1]) for name, curve in curves.items()}
    chart = Chart(
        "Prefill's product, three algorithms",
        algorithm_figure(sides, curves, "Milliseconds (logarithmic)", "ms"),
        f"{size[0]:,} x {size[1]:,} times {size[1]:,} x {size[2]:,} on {sides[-1]} x {sides[-1]} PEs: SUMMA "
        f"takes {ratio['summa']:.1f} and Cannon {ratio['cannon']:.1f} times as long as MeshGEMM, whose "
        "neighbours are two hops away on every grid.",
        "Three curves of milliseconds over the grid's side; SUMMA's and Cannon's rise above MeshGEMM's",
    )
    return (chart,)
