"""Joules per token on the wafer and on GPUs, and "a third of the power for the same work" checked."""

from __future__ import annotations

import plotly.graph_objects as go

from pages.parts.charts import with_legend_below
from pages.parts.wafer.chart import KIND_COLORS, TEXT, Chart
from pages.parts.wafer.view import View
from wse_backend.wafer import gpu
from wse_backend.wafer.economics import Energy, gpu_energy, wafer_energy
from wse_backend.wafer.published import VENDORS_THIRD

TAB, ORDER = "Users and cost", 30
HOST_GPUS = 8  # a published system


def draw(view: View) -> tuple[Chart, ...]:
    """One chart for one user alone, one for machines that are full: a factor of a hundred lies between."""
    model, context = view.setting.model, view.setting.context
    machines = [wafer_energy(view.placement, view.pipeline)]
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
        x=[float(f"{value:.4g}") for value in joules],
        text=[f"{value:.3g} J" for value in joules],
        textposition="outside",
        textfont={"color": TEXT},
        cliponaxis=False,
        orientation="h",
        name="Modelled speed, published power",
        showlegend=False,
        marker={"color": KIND_COLORS["modelled"]},
        hovertemplate="%{x:.3g} J a token",
    )
    figure.update_layout(height=110 + 42 * len(machines), bargap=0.35)
    figure.update_xaxes(title="Joules per output token", range=[0, 1.2 * max(joules)])
    figure.update_yaxes(autorange="reversed", showgrid=False, ticksuffix=" ")
    story = _story(view, machines, joules, is_busy)
    return Chart(
        "Energy of a token, machines full" if is_busy else "Energy of a token, one user",
        with_legend_below(figure),
        f"{story} Power is the published maximum of whole systems: 23 kW for a wafer, a host's share for "
        "GPUs.",
        "Bars of joules per output token: "
        f"{', '.join(f'{f.machine} {v:.3g}' for f, v in zip(machines, joules, strict=True))}",
        ("modelled", "published"),
    )


def _story(view: View, machines: list[Energy], joules: list[float], is_busy: bool) -> str:
    """The wafer beside the H100 and beside the best, and whether the vendor's third holds."""
    h100 = next(index for index, found in enumerate(machines) if "H100" in found.machine)
    best = min(range(1, len(joules)), key=joules.__getitem__)
    share = joules[0] / joules[h100]
    sure = view.intervals.slowest_s if is_busy else view.intervals.token_s
    low, high = (joules[0] * bound / sure.value for bound in (sure.low, sure.high))
    wafer_j = f"{joules[0]:.3g} J ({low:.3g} to {high:.3g})"
    the_wafer = machines[0].machine.replace("One", "one")
    holds = "holds" if share <= 1.15 * VENDORS_THIRD else "does not hold"
    if is_busy:
        return (
            f"Full, with as many streams as memory holds, a token takes {wafer_j} on {the_wafer} "
            f"and {joules[best]:.3g} J on {machines[best].machine}: {joules[0] / joules[best]:.1f} times as "
            f"much. “A third of the power for the same work” {holds} here; GPUs make up for their memory "
            "reads with company."
        )
    return (
        f"One user alone takes {wafer_j} a token on {the_wafer} and {joules[h100]:.3g} J on "
        f"{machines[h100].machine}, {share:.2f} times as much. “A third of the power for the same "
        f"work”, said by the vendor of Llama 3.1 at launch (2024-08), {holds} for this model and one "
        "user."
    )
