"""Joules per token on the wafer and on GPUs, and "a third of the power for the same work" checked."""

from __future__ import annotations

import plotly.graph_objects as go

from pages.parts.charts import with_legend_below
from pages.parts.wafer.chart import (
    KIND_COLORS,
    NEUTRAL,
    Chart,
    add_words,
    error_bars,
    extrapolated,
    joules_between,
    times_between,
)
from pages.parts.wafer.view import View
from wse_backend.wafer import gpu
from wse_backend.wafer.economics import Energy, gpu_energy, wafer_energy
from wse_backend.wafer.published import VENDORS_THIRD
from wse_backend.wafer.timing.interval import Interval

TAB, ORDER = "Users and cost", 30
HOST_GPUS = 8  # a published system


def draw(view: View) -> tuple[Chart, ...]:
    """One chart for one user alone, one for machines that are full: a factor of a hundred lies between."""
    model, context = view.setting.model, view.setting.context
    machines = [wafer_energy(view.placement, view.pipeline, view.intervals)]
    for spec in gpu.GPUS:
        n = max(HOST_GPUS, gpu.needed_gpus(model, spec, context))
        machines.append(gpu_energy(model, spec, n, context))
    return _chart(view, machines, is_busy=False), _chart(view, machines, is_busy=True)


def _chart(view: View, machines: list[Energy], is_busy: bool) -> Chart:
    joules = [found.busy_j if is_busy else found.alone_j for found in machines]
    names = [
        f"{found.machine}<br>{found.streams:,} streams" if is_busy else found.machine for found in machines
    ]
    figure = go.Figure()
    figure.add_bar(
        y=names,
        x=[float(f"{found.value:.4g}") for found in joules],
        error_x=error_bars(joules) | {"color": NEUTRAL},
        orientation="h",
        name="Modelled speed, published power",
        showlegend=False,
        marker={"color": KIND_COLORS["modelled"]},
        hovertemplate="%{x:.3g} J a token",
    )
    add_words(figure, [found.high for found in joules], names, [joules_between(found) for found in joules])
    figure.update_layout(height=110 + 42 * len(machines), bargap=0.35)
    figure.update_xaxes(title="Joules per output token", range=[0, 1.6 * max(found.high for found in joules)])
    figure.update_yaxes(autorange="reversed", showgrid=False, ticksuffix=" ")
    story = _story(view, machines, joules, is_busy)
    return Chart(
        "Energy of a token, machines full" if is_busy else "Energy of a token, one user",
        with_legend_below(figure),
        f"{story} Power is the published maximum of whole systems: 23 kW for a wafer, a host's share for "
        "GPUs.",
        "Bars of joules per output token: "
        f"{', '.join(f'{f.machine} {v.value:.3g}' for f, v in zip(machines, joules, strict=True))}",
        ("modelled", "published"),
    )


def _story(view: View, machines: list[Energy], joules: list[Interval], is_busy: bool) -> str:
    """The wafer beside the H100 and beside the best, and whether the vendor's third holds."""
    h100 = next(index for index, found in enumerate(machines) if "H100" in found.machine)
    best = min(range(1, len(joules)), key=lambda index: joules[index].value)
    share = joules[0].over(joules[h100])
    wafer_j = joules_between(joules[0])
    the_wafer = machines[0].machine.replace("One", "one")
    holds = "holds" if share.low <= VENDORS_THIRD else "does not hold"
    far = extrapolated(view.setting.model, view.setting.spec, view.setting.context, view.placement.wafers)
    if is_busy:
        return (
            f"Full, with as many streams as memory holds, a token takes {wafer_j} on {the_wafer} "
            f"and {joules_between(joules[best])} on {machines[best].machine}: "
            f"{times_between(joules[0].over(joules[best]))} as much. “A third of the power for the same "
            f"work” {holds} here; GPUs make up for their memory reads with company.{far}"
        )
    return (
        f"One user alone takes {wafer_j} a token on {the_wafer} and {joules_between(joules[h100])} on "
        f"{machines[h100].machine}: the wafer {share.value:.2f} times ({share.low:.2f} to {share.high:.2f}) "
        f"as much. “A third of the power for the same "
        f"work”, said by the vendor of Llama 3.1 at launch (2024-08), {holds} for this model and one "
        f"user.{far}"
    )
