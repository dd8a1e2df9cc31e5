"""Experts spread over a region against a block for each: time of one layer's FFN by cause, in both phases."""

from __future__ import annotations

from dataclasses import replace

import plotly.graph_objects as go

from pages.parts.charts import with_legend_below
from pages.parts.wafer.chart import Chart, add_whiskers, duration_between, extrapolated, rate_between
from pages.parts.wafer.layers import CAUSE_NAMES, unit_of, unit_title
from pages.parts.wafer.view import View
from pages.state.wafer_experts import PlacedExperts, compare_placements
from pages.state.wafer_setting import EXPERT_NAMES
from wse_backend.wafer.timing import CAUSES

TAB, ORDER = "Experts", 20
PHASES = {"decode": "One token", "prefill": "A prompt"}


def is_shown(view: View) -> bool:
    """Whether the model has experts."""
    return view.setting.model.n_experts > 0


def draw(view: View) -> tuple[Chart, ...]:
    """Decode and prefill."""
    found = compare_placements(replace(view.setting, side=None, mapping="layer"))
    return _chart(view, found, "decode"), _chart(view, found, "prefill")


def _chart(view: View, found: dict[str, PlacedExperts], phase: str) -> Chart:
    setting = view.setting
    causes = {EXPERT_NAMES[name]: one.ffn_causes[phase] for name, one in found.items()}
    unit, factor = unit_of([sum(parts.values()) for parts in causes.values()])
    figure = go.Figure()
    for cause in CAUSES:
        figure.add_bar(
            y=list(causes),
            x=[round(parts[cause] * factor, 4) for parts in causes.values()],
            name=CAUSE_NAMES[cause],
            orientation="h",
            hovertemplate=f"%{{x:.3g}} {unit}",
        )
    add_whiskers(figure, list(causes), [one.ffn_s[phase] for one in found.values()], factor)
    figure.update_layout(barmode="stack", height=230, bargap=0.35)
    figure.update_xaxes(title=f"{unit_title(unit)} of one transformer layer's experts", rangemode="tozero")
    figure.update_yaxes(showgrid=False, ticksuffix=" ")
    speeds = {
        name: one.intervals.token_s.rate
        if phase == "decode"
        else one.intervals.prefill_s.rate.scaled(setting.prompt_tokens)
        for name, one in found.items()
    }
    traffic = duration_between(found["blocks"].traffic_s[phase])
    whole = "; ".join(f"{EXPERT_NAMES[name].lower()} {rate_between(speed)}" for name, speed in speeds.items())
    why = {
        "decode": "One token keeps a few blocks busy and leaves the others idle, while spread experts use "
        "every PE of the region, one expert after another.",
        "prefill": "With many tokens every block has work, on tiles that are not split into crumbs, and "
        "traffic is what it costs.",
    }[phase]
    most = max(one.wafers for one in found.values())
    return Chart(
        f"{PHASES[phase]}: experts spread, or a block each",
        with_legend_below(figure),
        f"The whole model: {whole}. {why} The all-to-all takes {traffic} a transformer "
        "layer there and back (hops by distance, words over the busiest "
        f"link).{extrapolated(setting.model, setting.spec, setting.context, most)}",
        f"Two stacked bars of {unit} by cause: experts spread over the region, and a block for each",
    )
