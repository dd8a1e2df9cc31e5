"""How time changes with the grid, the context, the wafers and the batch, and with the algorithm."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from pages.parts.charts import with_legend_below
from pages.parts.wafer.chart import Chart, duration, log_axis, mark_x, rate
from pages.state.wafer_setting import Setting, wafers_points
from wse_backend.wafer import gpu
from wse_backend.wafer.economics import pipeline
from wse_backend.wafer.placement import Placement
from wse_backend.wafer.timing import decode_seconds, prefill_seconds
from wse_backend.wafer.timing.baselines import ALLREDUCES, GEMMS, allreduce_seconds, gemm_seconds
from wse_backend.wafer.timing.fitted import RESIDUALS

CURVES = {"grid": "Grid size", "context": "Context", "wafers": "Wafers", "batch": "Batch"}
CONTEXT_POINTS = 18
SIDE_STEP = 5
ALGORITHM_NAMES = {
    "summa": "SUMMA",
    "cannon": "Cannon",
    "meshgemm": "MeshGEMM",
    "pipeline": "Pipeline",
    "ring": "Ring",
    "k-tree": "K-tree (K = 2)",
}


def grid_chart(setting: Setting, phase: str) -> Chart:
    """Tokens/s over the side of a square grid that all layers share; measured points where there are any."""
    model, spec = setting.model, setting.spec
    tokens = setting.context if phase == "decode" else setting.prompt_tokens
    sides = np.arange(60, spec.largest_square + 1, SIDE_STEP)
    if phase == "decode":
        speed = 1 / decode_seconds(model, spec, sides, tokens)
    else:
        speed = tokens / prefill_seconds(model, spec, sides, tokens)
    best = int(np.argmax(speed))
    figure = go.Figure()
    figure.add_scatter(
        x=sides, y=np.round(speed, 1), name="Modelled", mode="lines", hovertemplate="%{y:,.0f} tokens/s"
    )
    rows = [
        row
        for row in RESIDUALS
        if row.phase == phase and row.model == model.name and row.tokens == tokens and spec.name == "WSE-2"
    ]
    if rows:
        figure.add_scatter(
            x=[row.grid for row in rows],
            y=[row.measured for row in rows],
            name="Measured (WaferLLM)",
            mode="markers",
            marker={"size": 10, "symbol": "diamond"},
            hovertemplate="%{y:,.0f} tokens/s",
        )
    mark_x(figure, int(sides[best]), "fastest", is_log=False, y=0.0)
    figure.update_layout(height=340, hovermode="x unified")
    figure.update_xaxes(title="PEs per side of the grid")
    what = "Output tokens/s" if phase == "decode" else "Prompt tokens/s"
    figure.update_yaxes(title=what, rangemode="tozero")
    top, last = rate(float(speed[best])), rate(float(speed[-1]))
    story = (
        f"Decode is fastest on {sides[best]} x {sides[best]} PEs ({top}); the whole wafer is slower "
        f"({last}), because every sum has to cross it."
        if phase == "decode" and best < len(sides) - 1
        else f"{phase.capitalize()} is fastest on {sides[best]} x {sides[best]} PEs ({top})"
        + (": arithmetic outweighs distance, so PEs pay." if phase == "prefill" else ".")
    )
    measured_for = "llama3-8b and qwen2-72b on WSE-2, 4,096 tokens"
    elsewhere = "" if rows else f" Hardware measurements exist for {measured_for}."
    return Chart(
        f"{phase.capitalize()} on grids of every size",
        with_legend_below(figure),
        f"{story} {tokens:,} tokens, one request, all transformer layers on one grid; SRAM left aside. "
        "Teeth come from "
        f"tiles that are rounded up to whole elements.{elsewhere}",
        f"Curve of {what.lower()} over the grid's side, best at {sides[best]}",
        ("modelled", "measured") if rows else ("modelled",),
    )


def context_chart(setting: Setting, placement: Placement) -> Chart:
    """Tokens/s of one user over the context, wafer and GPU."""
    longest = placement.max_context
    contexts = np.unique(np.geomspace(min(128, longest), longest, CONTEXT_POINTS).astype(int))
    speed = [1 / pipeline(placement, int(tokens), 1).token_s for tokens in contexts]
    needed = gpu.needed_gpus(setting.model, gpu.H100, longest)
    on_gpu = [1 / gpu.decode_seconds(setting.model, gpu.H100, needed, int(tokens)) for tokens in contexts]
    machine = gpu.H100.name if needed == 1 else f"{needed} x {gpu.H100.name}"
    figure = go.Figure()
    for name, values in ((f"{placement.wafers} x {placement.spec.name}", speed), (machine, on_gpu)):
        figure.add_scatter(
            x=contexts, y=np.round(values, 1), name=name, mode="lines", hovertemplate="%{y:,.0f} tokens/s"
        )
    mark_x(figure, setting.context, "chosen above", y=0.0)
    figure.update_layout(height=360, hovermode="x unified")
    log_axis(figure.update_xaxes, "Tokens in the cache (logarithmic)", contexts[0], contexts[-1])
    figure.update_yaxes(title="Output tokens/s of one user", rangemode="tozero")
    return Chart(
        "Speed over the context",
        with_legend_below(figure),
        f"From {contexts[0]:,} to {longest:,} tokens, all that the SRAM holds, the wafer goes from "
        f"{rate(speed[0])} to {rate(speed[-1])}; {machine} from {rate(on_gpu[0])} to {rate(on_gpu[-1])}.",
        f"Two curves of tokens per second over the context, {placement.spec.name} above and {machine}",
    )


def wafers_charts(setting: Setting) -> tuple[Chart, Chart]:
    """Tokens/s and time to first token over the number of wafers."""
    points = wafers_points(setting)
    wafers = [point[0] for point in points]
    speed = go.Figure()
    for name, column in (("One user", 1), ("All users, pipeline full", 2)):
        speed.add_scatter(
            x=wafers,
            y=[round(point[column], 1) for point in points],
            name=name,
            mode="lines+markers",
            hovertemplate="%{y:,.0f} tokens/s",
        )
    speeds = [value for point in points for value in point[1:3]]
    log_axis(speed.update_yaxes, "Tokens/s (logarithmic)", min(speeds) / 2, max(speeds) * 2)
    first = go.Figure()
    unit, factor = ("ms", 1e3) if points[0][3] < 1 else ("s", 1.0)
    first.add_scatter(
        x=wafers,
        y=[round(point[3] * factor, 4) for point in points],
        name="Time to first token",
        mode="lines+markers",
        hovertemplate=f"%{{y:.3g}} {unit}",
    )
    first.update_yaxes(title="Milliseconds" if unit == "ms" else "Seconds", rangemode="tozero")
    for figure in (speed, first):
        figure.update_layout(height=320, hovermode="x unified")
        figure.update_xaxes(title="Wafers", dtick=1)
    few, many = points[0], points[-1]
    why = (
        "every transformer layer has more PEs to itself"
        if many[3] < few[3]
        else "larger regions and more crossings cost more than they give"
    )
    common = f"{few[0]} to {many[0]} x {setting.spec.name}, a region for every transformer layer"
    return (
        Chart(
            "Speed over the number of wafers",
            with_legend_below(speed),
            f"{common}: one user goes from {rate(few[1])} to {rate(many[1])}, everybody together from "
            f"{rate(few[2])} to {rate(many[2])}: wafers add room, hardly speed.",
            "Two curves of tokens per second over the number of wafers",
        ),
        Chart(
            "Time to first token",
            with_legend_below(first),
            f"A prompt of {setting.prompt_tokens:,} tokens has its first answer token after "
            f"{duration(few[3])} on {few[0]} and {duration(many[3])} on {many[0]}: {why}.",
            "Curve of the time to first token over the number of wafers",
        ),
    )


def batch_chart(setting: Setting) -> Chart:
    """Tokens/s per user and in all over the batch, on one grid, beside GPUs."""
    model, spec = setting.model, setting.spec
    batch = np.unique(np.geomspace(1, 256, 32).astype(int))
    sides = np.arange(60, spec.largest_square + 1, SIDE_STEP)
    side = int(sides[np.argmin(decode_seconds(model, spec, sides, setting.context))])
    wafer = batch / decode_seconds(model, spec, side, setting.context, batch)
    needed = gpu.needed_gpus(model, gpu.H100, setting.context)
    steps = [gpu.decode_seconds(model, gpu.H100, needed, setting.context, int(n)) for n in batch]
    machine = gpu.H100.name if needed == 1 else f"{needed} x {gpu.H100.name}"
    figure = go.Figure()
    for name, values in ((f"{spec.name}, {side} x {side} PEs", wafer), (machine, batch / np.array(steps))):
        figure.add_scatter(
            x=batch, y=np.round(values, 1), name=name, mode="lines", hovertemplate="%{y:,.0f} tokens/s"
        )
    figure.update_layout(height=360, hovermode="x unified")
    log_axis(figure.update_xaxes, "Sequences in the batch (logarithmic)", 1, 256)
    low, high = 0.7 / steps[0], 1.5 * max(float(wafer.max()), batch[-1] / steps[-1])
    log_axis(figure.update_yaxes, "Tokens/s of all together (logarithmic)", min(low, float(wafer[0])), high)
    gain_wafer, gain_gpu = wafer[-1] / wafer[0], batch[-1] * steps[0] / steps[-1]
    return Chart(
        "Throughput over the batch",
        with_legend_below(figure),
        f"{batch[-1]} sequences at once give {gain_wafer:.1f} times the tokens/s of one on a single grid of "
        f"the wafer and {gain_gpu:,.0f} times on {machine}: a GPU needs company to be worth its memory "
        "reads, a wafer is fast alone. (Regions of other transformer layers serve other users meanwhile: "
        "see Users and "
        "cost.)",
        f"Two curves of all users' tokens per second over the batch: {spec.name} flat, {machine} rising",
    )


def gemm_chart(setting: Setting) -> Chart:
    """MeshGEMM beside Cannon and SUMMA for the model's FFN product."""
    model, spec = setting.model, setting.spec
    size = (setting.prompt_tokens, model.dim, model.hidden_dim)
    sides = np.arange(60, spec.largest_square + 1, SIDE_STEP)
    curves = {name: gemm_seconds(name, size, sides, spec) * 1e3 for name in GEMMS}
    figure = _algorithm_figure(sides, curves, "Milliseconds (logarithmic)", "ms")
    at = len(sides) - 1
    ratio = {name: float(curve[at] / curves["meshgemm"][at]) for name, curve in curves.items()}
    return Chart(
        "Prefill's product, three algorithms",
        figure,
        f"{size[0]:,} x {size[1]:,} times {size[1]:,} x {size[2]:,} on {sides[at]} x {sides[at]} PEs: SUMMA "
        f"takes {ratio['summa']:.1f} and Cannon {ratio['cannon']:.1f} times as long as MeshGEMM, whose "
        "neighbours are two hops away on every grid.",
        "Three curves of milliseconds over the grid's side; SUMMA's and Cannon's rise above MeshGEMM's",
    )


def allreduce_chart(setting: Setting) -> Chart:
    """K-tree beside pipeline and ring for one sum of the hidden state."""
    model, spec = setting.model, setting.spec
    sides = np.arange(60, spec.largest_square + 1, SIDE_STEP)
    elements = np.ceil(model.dim / sides)
    curves = {name: allreduce_seconds(name, sides, elements, spec) * 1e6 for name in ALLREDUCES}
    figure = _algorithm_figure(sides, curves, "Microseconds (logarithmic)", "µs")
    at = len(sides) - 1
    values = {name: float(curve[at]) / 1e6 for name, curve in curves.items()}
    return Chart(
        "Decode's sum, three algorithms",
        figure,
        f"{model.dim:,} values summed over {sides[at]} PEs: ring {duration(values['ring'])}, pipeline "
        f"{duration(values['pipeline'])}, K-tree {duration(values['k-tree'])}. A transformer layer has "
        "ten such sums; "
        "the tree makes √P stops where the others make P to 2 P.",
        "Three curves of microseconds over the row's length; the K-tree lies lowest",
    )


def _algorithm_figure(sides: np.ndarray, curves: dict[str, np.ndarray], y_title: str, unit: str) -> go.Figure:
    figure = go.Figure()
    for name, curve in curves.items():
        figure.add_scatter(
            x=sides,
            y=np.round(curve, 4),
            name=ALGORITHM_NAMES[name],
            mode="lines",
            hovertemplate=f"%{{y:.3g}} {unit}",
        )
    figure.update_layout(height=340, hovermode="x unified")
    figure.update_xaxes(title="PEs per side of the grid (P)")
    low, high = min(float(c.min()) for c in curves.values()), max(float(c.max()) for c in curves.values())
    log_axis(figure.update_yaxes, y_title, low / 1.3, high * 1.3)
    return with_legend_below(figure)
