"""Tokens/s of one user over the context, wafer and GPU."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import plotly.graph_objects as go

from pages.parts.charts import with_legend_below
from pages.parts.wafer.chart import Chart, add_band, extrapolated, log_axis, mark_x, rate_between
from pages.parts.wafer.view import View
from wse_backend.wafer import gpu
from wse_backend.wafer.economics import pipeline_intervals

TAB, NAME, ORDER = "Scaling", "Context", 20
POINTS = 12


def draw(view: View) -> tuple[Chart, ...]:
    """From a short context to all that the SRAM holds."""
    setting, placement = view.setting, view.placement
    longest = placement.max_context
    contexts = np.unique(np.geomspace(min(128, longest), longest, POINTS).astype(int))
    workload = setting.workload(prompt_tokens=1)
    found = [
        pipeline_intervals(placement, replace(workload, context=int(tokens))).token_s.rate
        for tokens in contexts
    ]
    speed = [one.value for one in found]
    needed = gpu.needed_gpus(setting.model, gpu.H100, longest)
    on_gpu = np.array(
        [1 / gpu.decode_seconds(setting.model, gpu.H100, needed, int(tokens)) for tokens in contexts]
    )
    machine = gpu.H100.name if needed == 1 else f"{needed} x {gpu.H100.name}"
    figure = go.Figure()
    add_band(figure, contexts, np.array([one.low for one in found]), np.array([one.high for one in found]))
    few, many = (gpu.unsure(float(on_gpu[end])) for end in (0, -1))
    add_band(figure, contexts, on_gpu * (1 - gpu.ROW_ERROR), on_gpu * (1 + gpu.ROW_ERROR), is_named=False)
    for name, values in ((view.machine, np.array(speed)), (machine, on_gpu)):
        figure.add_scatter(
            x=contexts, y=np.round(values, 1), name=name, mode="lines", hovertemplate="%{y:,.0f} tokens/s"
        )
    mark_x(figure, setting.context, "chosen above", y=0.0)
    figure.update_layout(height=360, hovermode="x unified")
    log_axis(figure.update_xaxes, "Tokens in the cache (logarithmic)", contexts[0], contexts[-1])
    figure.update_yaxes(title="Output tokens/s of one user", rangemode="tozero")
    far = extrapolated(setting.model, setting.spec, longest, placement.wafers)
    chart = Chart(
        "Speed over the context",
        with_legend_below(figure),
        f"From {contexts[0]:,} to {longest:,} tokens, all that the SRAM holds, the wafer goes from "
        f"{rate_between(found[0])} to {rate_between(found[-1])}; {machine} from {rate_between(few)} to "
        f"{rate_between(many)}.{far}",
        f"Two curves of tokens per second over the context, {placement.spec.name} above and {machine}",
    )
    return (chart,)
