"""Milliseconds of processor time and bytes of JSON of every chart of the Wafer page, at its worst.

    PYTHONPATH=. python bench/wafer_charts.py

Every preset on both wafers with all three mappings, each chart twice; the faster time counts, then the
slowest setting. Prints one table. The aims: at most 100 ms, at most 300 KB.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from pages.parts.wafer import floorplan as wafer_floorplan
from pages.parts.wafer import layers as wafer_layers
from pages.parts.wafer import machines as wafer_machines
from pages.parts.wafer.chart import Chart
from pages.parts.wafer.charts import plugins
from pages.parts.wafer.view import View
from pages.state.wafer_machines import EXAMPLE_CALLS, replay_bars
from pages.state.wafer_setting import Setting
from wse_backend.errors import DoesNotFit
from wse_backend.wafer.placement import Placement
from wse_backend.wafer.placement_timing import layer_intervals, placed_timing
from wse_backend.wafer.shapes import PRESETS
from wse_backend.wafer.spec import WSE2, WSE3

AIM_MS, AIM_KB = 100, 300
MAPPINGS = (("layer", None), ("stage", 420), ("shared", 660))
Draw = Callable[[], Chart | tuple[Chart, ...]]


def settings() -> Iterator[tuple[Setting, Placement]]:
    """Every setting that fits, with defects worth drawing."""
    for shape in PRESETS.values():
        for spec in (WSE2, WSE3):
            for mapping, side in MAPPINGS:
                setting = Setting(shape, spec, mapping=mapping, side=side, density_per_cm2=2.0)
                try:
                    yield setting, setting.placement()
                except DoesNotFit:
                    continue


def draws(setting: Setting, placement: Placement) -> dict[str, Draw]:
    """What the page draws for a setting, by name; the work before a figure is part of it."""
    defects = setting.defects(1)[0]
    graph = [(setting.model, EXAMPLE_CALLS)]
    context = setting.context

    def layers(phase: str) -> Chart:
        timing, view = placed_timing(placement, phase, context), View(setting, placement)
        sure = layer_intervals(placement, phase, context)
        return wafer_layers.cause_chart(timing, placement, view.intervals.token_s, sure)

    fixed: dict[str, Draw] = {
        "floorplan": lambda: wafer_floorplan.floorplan_chart(placement, 0, defects, "layer"),
        "SRAM": lambda: wafer_floorplan.sram_chart(placement, 0),
        "yield": lambda: wafer_floorplan.yield_chart(setting),
        "decode by cause": lambda: layers("decode"),
        "prefill by cause": lambda: layers("prefill"),
        "same run on": lambda: wafer_machines.machines_chart(replay_bars(graph, setting.spec), "A run."),
    }
    shown = [plugin for plugin in plugins() if plugin.is_shown(View(setting, placement))]
    return fixed | {
        plugin.key: lambda plugin=plugin: plugin.draw(View(setting, placement)) for plugin in shown
    }


def measured(draw: Draw) -> tuple[float, float]:
    """Milliseconds (the faster of two) and kilobytes of the larger figure."""
    times = []
    for _ in range(2):
        start = time.process_time()
        drawn = draw()
        figures = [chart.figure.to_json() for chart in (drawn if isinstance(drawn, tuple) else (drawn,))]
        times.append(time.process_time() - start)
    return 1e3 * min(times), max(len(figure.encode()) for figure in figures) / 1e3


def main() -> None:
    worst: dict[str, tuple[float, float]] = {}
    n_settings = 0
    for setting, placement in settings():
        n_settings += 1
        for name, draw in draws(setting, placement).items():
            before = worst.get(name, (0.0, 0.0))
            found = measured(draw)
            worst[name] = (max(before[0], found[0]), max(before[1], found[1]))
    print(f"{n_settings} settings; aims: {AIM_MS} ms, {AIM_KB} KB\n")
    print(f"{'chart':20} {'ms':>6} {'KB':>6}")
    for name, (milliseconds, kilobytes) in worst.items():
        missed = "  missed" if milliseconds > AIM_MS or kilobytes > AIM_KB else ""
        print(f"{name:20} {milliseconds:6.1f} {kilobytes:6.1f}{missed}")


if __name__ == "__main__":
    main()
