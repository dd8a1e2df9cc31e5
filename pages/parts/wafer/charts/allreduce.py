"""K-tree beside pipeline and ring for one sum of the hidden state."""

from __future__ import annotations

from functools import partial

import numpy as np

from pages.parts.wafer.algorithms import SIDES, algorithm_figure
from pages.parts.wafer.chart import Chart, duration_between
from pages.parts.wafer.view import View
from wse_backend.wafer.timing import Constants
from wse_backend.wafer.timing.baselines import ALLREDUCES, allreduce_seconds
from wse_backend.wafer.timing.interval import interval
from wse_backend.wafer.timing.ops import Count

TAB, ORDER = "Algorithms", 20


def draw(view: View) -> tuple[Chart, ...]:
    """Microseconds over the length of a row."""
    model, spec = view.setting.model, view.setting.spec
    sides = SIDES[spec.largest_square >= SIDES]
    curves = {
        name: allreduce_seconds(name, sides, np.ceil(model.dim / sides), spec) * 1e6 for name in ALLREDUCES
    }
    last = int(sides[-1])
    values = {
        name: duration_between(interval(partial(_seconds, name, last, view), "decode")) for name in ALLREDUCES
    }
    chart = Chart(
        "Decode's sum, three algorithms",
        algorithm_figure(sides, curves, "Microseconds (logarithmic)", "µs"),
        f"{model.dim:,} values summed over {sides[-1]} PEs: ring {values['ring']}, pipeline "
        f"{values['pipeline']}, K-tree {values['k-tree']}. A transformer layer has ten such sums; the tree "
        "makes √P stops where the others make P to 2 P.",
        "Three curves of microseconds over the row's length; the K-tree lies lowest",
    )
    return (chart,)


def _seconds(name: str, side: int, view: View, constants: Constants) -> Count:
    model, spec = view.setting.model, view.setting.spec
    return allreduce_seconds(name, side, np.ceil(model.dim / side), spec, constants=constants)
