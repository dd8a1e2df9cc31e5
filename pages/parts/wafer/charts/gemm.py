"""MeshGEMM beside Cannon and SUMMA for the model's FFN product."""

from __future__ import annotations

from pages.parts.wafer.algorithms import SIDES, STACKED_COLUMNS, algorithm_figure
from pages.parts.wafer.chart import Chart, duration_between, times_between
from pages.parts.wafer.view import View
from wse_backend.wafer.timing.baselines import GEMMS, gemm_seconds
from wse_backend.wafer.timing.interval import between

TAB, ORDER = "Algorithms", 10


def draw(view: View) -> tuple[Chart, ...]:
    """Milliseconds over the grid's side."""
    model, spec = view.setting.model, view.setting.spec
    size = (view.setting.prompt_tokens, model.dim, model.hidden_dim)
    sides = SIDES[spec.largest_square >= SIDES]
    stacked = {name: gemm_seconds(name, size, sides, spec, constants=STACKED_COLUMNS) for name in GEMMS}
    last = {name: values[:, -1] for name, values in stacked.items()}
    ratio = {name: times_between(between(last[name] / last["meshgemm"], "prefill")) for name in GEMMS}
    curves = {name: values * 1e3 for name, values in stacked.items()}
    chart = Chart(
        "Prefill's product, three algorithms",
        algorithm_figure(sides, curves, "prefill", "Milliseconds (logarithmic)", "ms"),
        f"A product of {size[0]:,} x {size[1]:,} and {size[1]:,} x {size[2]:,} on {sides[-1]} x "
        f"{sides[-1]} PEs: MeshGEMM, whose neighbours are two hops away on every grid, takes "
        f"{duration_between(between(last['meshgemm'], 'prefill'))}; SUMMA {ratio['summa']} and Cannon "
        f"{ratio['cannon']} as long. The calibration file has no row of these two.",
        "Three curves of milliseconds over the grid's side; SUMMA's and Cannon's rise above MeshGEMM's",
    )
    return (chart,)
