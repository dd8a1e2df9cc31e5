"""Where a placed model lies on a wafer: the map, the SRAM of every region, the yield over defects."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from pages.parts.charts import with_legend_below
from pages.parts.wafer.chart import NEUTRAL, TEXT, Chart, kib, log_axis
from pages.state.text import as_plain, count
from pages.state.wafer_setting import MAPPING_NOTES, Setting
from wse_backend.wafer.defects import DefectMap, expected_yield, yield_of
from wse_backend.wafer.floorplan import Floorplan, floorplan
from wse_backend.wafer.placement import Placement, Region

VIEWS = {"layer": "transformer layers", "sram": "SRAM in use", "defects": "defects"}
CELL_PES = 10  # a cell of the map stands for 10 x 10 PEs
MARKED_CELLS_LIMIT = 1200  # more defects than that are seen in their own view only
STRIP_PES = 34  # width of the spares' strip and of the gap before it; not to scale
COLOR_BAR = {
    "orientation": "h",
    "thickness": 10,
    "len": 0.7,
    "x": 0,
    "xanchor": "left",
    "y": 1.01,
    "yanchor": "bottom",
    "tickfont": {"color": TEXT},
}
DRAWN = 400
MAP_HEIGHT_PX = 640


def region_label(region: Region) -> str:
    """ "0", "0–7", "LM head", "Embedding"."""
    if not region.layers:
        return "LM head" if region.kind == "head" else "Embedding"
    first, last = region.layers[0], region.layers[-1]
    return str(first) if first == last else f"{first}–{last}"


def plan_of(placement: Placement, wafer: int, defects: DefectMap | None) -> Floorplan:
    """The map's cells."""
    spec = placement.spec
    return floorplan(placement, wafer, defects, (spec.columns // CELL_PES, spec.rows // CELL_PES))


def floorplan_chart(placement: Placement, wafer: int, defects: DefectMap | None, view: str) -> Chart:
    """The map of one wafer; view: a key of VIEWS."""
    plan, spec = plan_of(placement, wafer, defects), placement.spec
    figure = go.Figure([_cells(plan, placement, view), _outlines(plan)])
    found = int(plan.defects.sum())
    if defects is not None:
        figure.add_trace(_spares(plan, placement))
        if view != "defects" and 0 < np.count_nonzero(plan.defects) <= MARKED_CELLS_LIMIT:
            figure.add_trace(_defect_marks(plan))
    bar = {
        "layer": "Transformer layer",
        "sram": "SRAM in use, % of 48 KB",
        "defects": "Defective PEs in a cell",
    }[view]
    figure.update_layout(
        coloraxis={"colorbar": COLOR_BAR | {"title": {"text": bar, "side": "top", "font": {"color": TEXT}}}},
        coloraxis2={"showscale": False, "cmin": 0, "cmax": max(2, int(plan.spares.max()))},
        height=MAP_HEIGHT_PX,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        showlegend=False,
    )
    if view != "defects":
        most = 100 if view == "sram" else max(placement.model.n_layers - 1, 1)
        figure.update_layout(coloraxis={"cmin": 0, "cmax": most})
    end = spec.columns + 2 * STRIP_PES if defects is not None else spec.columns
    figure.update_xaxes(
        title="PE column (spares at the right)" if defects is not None else "PE column",
        range=[0, end],
        constrain="domain",
        constraintoward="left",
        showgrid=False,
        zeroline=False,
        tickvals=list(range(0, spec.columns + 1, 200)),
        tickangle=0,
    )
    figure.update_yaxes(
        title="PE row",
        range=[spec.rows, 0],
        scaleanchor="x",
        constrain="domain",
        constraintoward="top",
        showgrid=False,
    )
    layers = [region for region in plan.regions if region.layers]
    first, last = layers[0].layers[0], layers[-1].layers[-1]
    used = max(layers, key=lambda region: region.bytes_per_pe)
    spares = "" if defects is None else f" Spares at the right replace {found} defective PEs."
    return Chart(
        f"Wafer {wafer + 1} of {placement.wafers}: {VIEWS[view]}",
        figure,
        f"Transformer layers {first} to {last} of {as_plain(placement.model.name)} in "
        f"{count(len(layers), 'region')}; the fullest PE of a transformer layer holds "
        f"{kib(used.bytes_per_pe)} of {kib(spec.sram_bytes_per_pe)}. "
        f"{MAPPING_NOTES[placement.mapping]}{spares} One cell stands for {plan.cell_pes[0]:.0f} x "
        f"{plan.cell_pes[1]:.0f} PEs.",
        f"Map of wafer {wafer + 1}, {spec.columns} by {spec.rows} PEs: transformer layers {first} to {last} "
        f"in {len(layers)} rectangles, {found} defective PEs marked",
    )


def _cells(plan: Floorplan, placement: Placement, view: str) -> go.Heatmap:
    """The heat map itself, with region names at the regions' centres and all numbers in the hover."""
    spec = placement.spec
    z = {
        "layer": np.where(plan.layer < 0, np.nan, plan.layer),
        "sram": np.where(plan.region < 0, np.nan, plan.sram * 100),
        "defects": plan.defects.astype(float),
    }[view]
    rows, columns = plan.region.shape[0], plan.region.shape[1]
    labels = np.full((rows, columns), "", dtype=object)
    for region in plan.regions:
        at_row = min(int((region.y + region.height / 2) / plan.cell_pes[1]), rows - 1)
        at_column = min(int((region.x + region.width / 2) / plan.cell_pes[0]), columns - 1)
        if region.height >= 2 * CELL_PES and view != "defects":
            labels[at_row, at_column] = region_label(region)
    return go.Heatmap(
        z=z.astype(np.float32),
        x=((np.arange(columns) + 0.5) * plan.cell_pes[0]).astype(np.float32),
        y=((np.arange(rows) + 0.5) * plan.cell_pes[1]).astype(np.float32),
        text=labels,
        texttemplate="%{text}",
        textfont={"size": 11},
        customdata=np.stack(
            [plan.layer, np.round(plan.sram * spec.sram_bytes_per_pe / 1024), plan.defects], axis=-1
        ).astype(np.int16),
        coloraxis="coloraxis",
        hovertemplate=(
            "column %{x:.0f}, row %{y:.0f}<br>transformer layer %{customdata[0]}<br>%{customdata[1]} KB "
            "of 48 KB per PE"
            "<br>%{customdata[2]} defective PEs<extra></extra>"
        ),
    )


def _outlines(plan: Floorplan) -> go.Scatter:
    """Every region's border as one broken line."""
    x: list[float | None] = []
    y: list[float | None] = []
    for region in plan.regions:
        left, right = region.x, region.x + region.width
        top, bottom = region.y, region.y + region.height
        x += [left, right, right, left, left, None]
        y += [top, top, bottom, bottom, top, None]
    return go.Scatter(x=x, y=y, mode="lines", line={"width": 1, "color": NEUTRAL}, hoverinfo="skip")


def _spares(plan: Floorplan, placement: Placement) -> go.Heatmap:
    """The strip beside the mesh: spare PEs in use, per band of rows."""
    rows, height = len(plan.spares), plan.cell_pes[1]
    available = int(placement.spec.spare_columns * height)
    return go.Heatmap(
        z=plan.spares[:, None].astype(np.int32),
        x=[placement.spec.columns + STRIP_PES, placement.spec.columns + 2 * STRIP_PES],
        y=((np.arange(rows) + 0.5) * height).astype(np.float32),
        xgap=0,
        coloraxis="coloraxis2",
        hovertemplate=f"rows around %{{y:.0f}}<br>%{{z}} of {available} spare PEs in use<extra></extra>",
    )


def _defect_marks(plan: Floorplan) -> go.Scatter:
    """A cross at every cell with a defective PE."""
    rows, columns = np.nonzero(plan.defects)
    return go.Scatter(
        x=(columns + 0.5) * plan.cell_pes[0],
        y=(rows + 0.5) * plan.cell_pes[1],
        customdata=plan.defects[rows, columns],
        mode="markers",
        marker={
            "symbol": "x",
            "size": 6 if len(rows) <= 100 else 4,
            "line": {"width": 1, "color": "rgba(255, 255, 255, 0.9)"},
        },
        hovertemplate="%{customdata} defective PE in this cell, bypassed<extra></extra>",
    )


def sram_chart(placement: Placement, wafer: int) -> Chart:
    """KB per PE of every region on a wafer, by what they hold."""
    regions = [region for region in placement.regions if region.wafer == wafer]
    limit = placement.spec.sram_bytes_per_pe / 1024
    names = [region_label(region) for region in regions]
    figure = go.Figure()
    for label, field in (("Weights", "weight_bytes"), ("KV cache", "kv_bytes"), ("Buffers", "buffer_bytes")):
        figure.add_bar(
            y=names,
            x=[round(getattr(region, field) / 1024, 2) for region in regions],
            name=label,
            orientation="h",
            hovertemplate="%{x:.1f} KB",
        )
    figure.add_vline(x=limit, line={"dash": "dash", "width": 1.5, "color": NEUTRAL})
    figure.update_layout(
        barmode="stack",
        bargap=0.15,
        height=min(MAP_HEIGHT_PX, 150 + 40 * len(regions)),
        hovermode="y unified",
    )
    figure.update_xaxes(title="KB per PE (the line: 48 KB)", rangemode="tozero")
    figure.update_yaxes(
        title="Region (transformer layers)",
        autorange="reversed",
        type="category",
        showgrid=False,
        dtick=_every(names),
    )
    fullest = max(region.bytes_per_pe for region in regions if region.layers)
    return Chart(
        "SRAM of the fullest PE in each region",
        with_legend_below(figure),
        f"At {placement.context:,} tokens a transformer layer's PEs hold up to {kib(fullest)}; the room "
        f"that is left would do for {placement.max_context:,} tokens (right within tens of percent). "
        "Embedding and LM head have strips of their own, cut to be nearly full.",
        f"Stacked bars of weights, cache and buffers in KB per PE for {len(regions)} regions",
    )


def _every(names: list[str]) -> int:
    return max(1, len(names) // 18)


def yield_chart(setting: Setting) -> Chart:
    """Share of usable wafers over the defect density, with and without spares. Raises InvalidParams."""
    spec, density = setting.spec, setting.density_per_cm2
    densities = np.geomspace(1e-4, 1000, 120)
    with_spares, without = expected_yield(spec, densities)
    drawn = yield_of(spec, density, DRAWN, setting.seed)
    figure = go.Figure()
    for name, share in (("With spare PEs", with_spares), ("Without", without)):
        figure.add_scatter(x=densities, y=100 * share, name=name, mode="lines", hovertemplate="%{y:.1f} %")
    if density > 0:
        figure.add_scatter(
            x=[density, density],
            y=[100 * drawn.with_spares, 100 * drawn.without_spares],
            name=f"{DRAWN} drawn wafers",
            mode="markers",
            marker={"size": 9, "symbol": "diamond"},
            hovertemplate="%{y:.1f} %",
        )
    figure.update_layout(height=300, hovermode="x unified")
    log_axis(figure.update_xaxes, "Defects per cm² (logarithmic)", 1e-4, 1000)
    figure.update_yaxes(title="Usable wafers (%)", rangemode="tozero")
    return Chart(
        "Yield with and without spare PEs",
        with_legend_below(figure),
        f"Of {DRAWN} wafers drawn at {density:g} defects per cm² (about "
        f"{density * spec.area_mm2 / 100:,.0f} defects each), {drawn.with_spares:.0%} are usable with "
        f"{spec.spare_columns} spare PEs in each row and {drawn.without_spares:.0%} without any: nobody "
        "could make a wafer-sized chip that must be perfect.",
        "Two curves of usable wafers over defect density: with spares far to the right of without",
    )
