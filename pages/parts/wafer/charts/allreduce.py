"""K-tree beside pipeline and ring for one sum of the hidden state."""

from __future__ import annotations

import numpy as np

from pages.parts.wafer.algorithms import SIDES, STACKED_COLUMNS, algorithm_figure
from pages.parts.wafer.chart import Chart, duration_between
from pages.parts.wafer.view import View
from wse_backend.wafer.timing.baselines import ALLREDUCES, allreduce_seconds
from wse_backend.wafer.timing.interval import between

TAB, ORDER = "Algorithms", 20


def draw(view: View) -> tuple[Chart, ...]:
    """Microseconds over the length of a row."""
    model, spec = view.setting.model, view.setting.spec
    sides = SIDES[spec.largest_square >= SIDES]
    stacked = {
        name: allreduce_seconds(name, sides, np.ceil(model.dim / sides), spec, constants=STACKED_COLUMNS)
        for name in ALLREDUCES
    }
    values = {name: duration_between(between(found[:, -1], "decode")) for name, found in stacked.items()}
    curves = {name: found * 1e6 for name, found in stacked.items()}
    chart = Chart(
        "Decode's sum, three algorithms",
        algorithm_figure(sides, curves, "decode", "Microseconds (logarithmic)", "µs"),
        f"{model.dim:,} values summed over {sides[-1]} PEs: ring {values['ring']}, pipeline "
        f"{values['pipeline']}, K-tree {values['k-tree']}. A transformer layer has ten such sums; the tree "
        "makes √P stops where the others make P to 2 P.",
        "Three curves of microseconds over the row's length; the K-tree lies lowest",
    )
    return (chart,)
