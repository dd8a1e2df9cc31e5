"""Prefill speed over how unevenly tokens fall on experts, for both placements."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from pages.parts.charts import with_legend_below
from pages.parts.wafer.chart import Chart, add_band, extrapolated, mark_x, rate_between
from pages.parts.wafer.view import View
from pages.state.wafer_experts import speeds_over_imbalance
from pages.state.wafer_setting import EXPERT_NAMES

TAB, ORDER = "Experts", 30


def is_shown(view: View) -> bool:
    """Whether the model has experts."""
    return view.setting.model.n_experts > 0


def draw(view: View) -> tuple[Chart, ...]:
    """From perfectly even to four times the mean."""
    setting = view.setting
    imbalances = np.linspace(1, 4, 13)
    curves = speeds_over_imbalance(setting, imbalances)
    figure = go.Figure()
    for number, speeds in enumerate(curves.values()):
        low, high = (np.array([getattr(one, end) for one in speeds]) for end in ("low", "high"))
        add_band(figure, imbalances, low, high, is_named=number == 0)
    for name, speeds in curves.items():
        figure.add_scatter(
            x=imbalances,
            y=[round(one.value, 1) for one in speeds],
            name=EXPERT_NAMES[name],
            mode="lines",
            hovertemplate="%{y:,.0f} tokens/s",
        )
    here = setting.routing(max(setting.prompt_tokens, 1)).imbalance
    mark_x(figure, min(here, 4.0), f"this trace: {here:.2f}", is_log=False, y=0.0)
    figure.update_layout(height=320, hovermode="x unified")
    figure.update_xaxes(title="Tokens of the busiest expert, over the mean")
    figure.update_yaxes(title="Prompt tokens/s", rangemode="tozero")
    blocks, prompt = curves["blocks"], setting.prompt_tokens
    at = int(np.abs(imbalances - min(here, 4.0)).argmin())
    chart = Chart(
        "What imbalance costs a prompt",
        with_legend_below(figure),
        f"A prompt of {prompt:,} tokens on the fewest wafers: blocks fall from "
        f"{rate_between(blocks[0])} with even loads to {rate_between(blocks[at])} at {imbalances[at]:.1f} "
        f"times the mean, about this trace's, and {rate_between(blocks[-1])} at 4; spread experts stay at "
        f"{rate_between(curves['spread'][0])}.{extrapolated(setting.model, setting.spec, prompt)}",
        "Two curves of prompt tokens per second over the imbalance: blocks fall, spread experts stay",
    )
    return (chart,)
