"""The tabs of the Wafer page. Each draws itself for a Setting; library errors reach `guarded`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pandas as pd
import streamlit as st

from pages.parts.wafer import floorplan as wafer_floorplan
from pages.parts.wafer.chart import duration_between, extrapolated, kib, rate_between, show_chart
from pages.parts.wafer.charts import Plugin, of_tab, plugins
from pages.parts.wafer.layers import PHASE_NAMES, cause_chart, operations_chart, slowest_layer
from pages.parts.wafer.view import View
from pages.state import wafer_evidence as rows
from pages.state.text import as_plain, capitalised, count
from pages.state.wafer_services import published_for, service_rows
from pages.state.wafer_setting import Setting, parameters
from wse_backend.errors import BrokenGGUF, DoesNotFit, GridTooLarge, InvalidParams, NoUsableWafer, WseError
from wse_backend.wafer.defects import DefectMap
from wse_backend.wafer.placement import Placement
from wse_backend.wafer.placement_timing import layer_intervals, operation_intervals, placed_timing
from wse_backend.wafer.shapes import PRESETS

ONE_AT_A_TIME = ("Scaling",)
TABLE = {
    "phase": st.column_config.TextColumn("What", width="small"),
    "model": st.column_config.TextColumn("Model"),
    "grid": st.column_config.TextColumn("On"),
    "predicted": st.column_config.NumberColumn("Predicted", help="Modelled", format="%.4g"),
    "measured": st.column_config.NumberColumn("Measured", help="On hardware, published", format="%.4g"),
    "unit": st.column_config.TextColumn("Unit", width="small"),
    "error": st.column_config.NumberColumn("Error (%)", format="%+.2f"),
}


def next_step(error: WseError) -> tuple[str, str]:
    """A title and what to do about a refusal of the wafer's library."""
    match error:
        case DoesNotFit(wafers_needed=None):
            return "This does not fit on any number of wafers", (
                "Choose a shorter context, shift the cache over all rows, or give every transformer layer "
                "a region of its own."
            )
        case DoesNotFit():
            return "This does not fit", (
                f"Choose {error.wafers_needed} wafers or “As few as hold it”, a smaller model, or a shorter "
                "context."
            )
        case GridTooLarge():
            side = min(error.largest)
            return "This grid is larger than the wafer", f"Choose at most {side} PEs per side."
        case NoUsableWafer():
            return "No usable wafer at this defect density", (
                "Lower the defects per cm², or choose the wafer with more spare PEs in each row."
            )
        case BrokenGGUF():
            return (
                "This file is not a model",
                "Choose another model, or replace the file in the model folder.",
            )
        case InvalidParams() if "router trace" in error.field:
            return "This router trace is not one of this model", (
                "Take it out under “Mapping, grid, cache and defects”, or choose the model that it was "
                "recorded with."
            )
        case InvalidParams():
            return "This setting is out of range", "Change it in the controls above."
    return "This cannot be shown", "Change the controls above."


def show_refusal(error: WseError) -> None:
    """The library's own words, with its numbers, and the next step."""
    title, step = next_step(error)
    st.error(f"{as_plain(capitalised(str(error)))}\n\n{step}", title=title, icon=":material/error:")


@contextmanager
def guarded() -> Iterator[None]:
    """Show a refusal where the charts would have stood."""
    try:
        yield
    except WseError as exc:
        show_refusal(exc)


def show_summary(view: View) -> None:
    """The setting in four numbers, each with how sure it is; published ones beside. Raises InvalidParams."""
    setting, placement, sure = view.setting, view.placement, view.intervals
    used = max(region.bytes_per_pe for region in placement.layer_regions)
    user, first = sure.token_s.rate, duration_between(sure.prefill_s)
    value, _, between = rate_between(user).partition(" tokens/s ")
    with st.grid(4, min_column_width=150):
        _metric("Tokens/s of one user", value, between)
        _metric("First token after", first.partition(" (")[0], first.partition(" (")[2])
        _metric("SRAM per PE, of 48 KB", kib(used), "within tens of %")
        _metric("Room for tokens", f"{placement.max_context:,}", "within tens of %")
    published = "; ".join(
        f"{as_plain(speed.model)} {speed.tokens_per_s:,.0f} tokens/s ({speed.when}{_how(speed.how)})"
        for speed in published_for(setting.model)
    )
    beside = f" Published by services on wafers, beside it: {published}; see Evidence." if published else ""
    far = extrapolated(setting.model, setting.spec, setting.context, placement.wafers)
    program = (
        ", read by a program with grouped K and V (measured by nobody)"
        if setting.program == "grouped"
        else ""
    )
    st.caption(
        f"Modelled: {as_plain(setting.model.name)} ({parameters(setting.model)}, fp16) on "
        f"{placement.wafers} x {placement.spec.name}: {count(len(placement.layer_regions), 'region')} for "
        f"{setting.model.n_layers} transformer layers, {setting.context:,} tokens in the cache, a prompt of "
        f"{setting.prompt_tokens:,}{program}. Below each number: what fits to fewer measured rows "
        f"say.{far}{beside}"
    )


def _metric(label: str, value: str, below: str) -> None:
    st.metric(label, value, below.strip("()"), delta_color="off", delta_arrow="off", border=True)


def _how(how: str) -> str:
    return ", with speculative decoding" if "speculative" in how else ""


def show_tab(tab: str, view: View) -> None:
    """The charts of a tab, in order; of a tab in ONE_AT_A_TIME the chosen one."""
    found = [plugin for plugin in of_tab(tab) if plugin.is_shown(view)]
    if tab in ONE_AT_A_TIME:
        _show_one(found, view)
        return
    with st.container():
        for plugin in found:
            _show(plugin.key, view)


@st.fragment
def _show_one(found: list[Plugin], view: View) -> None:
    """One question at a time."""
    names = {plugin.key: plugin.name for plugin in found}
    chosen = st.segmented_control(
        "What changes",
        list(names),
        default=found[0].key,
        required=True,
        format_func=names.__getitem__,
        key="wafer_curve",
    )
    _draw(str(chosen), view)


@st.fragment
def _show(key: str, view: View) -> None:
    _draw(key, view)


def _draw(key: str, view: View) -> None:
    """A chart's widgets, then its figures side by side."""
    plugin = next(plugin for plugin in plugins() if plugin.key == key)
    with guarded():
        options = plugin.controls(view) if plugin.controls else {}
        charts = plugin.draw(view, **options)
        if len(charts) == 1:
            show_chart(charts[0], f"wafer_chart_{key}")
            return
        with st.grid(2, min_column_width=380):
            for index, chart in enumerate(charts):
                with st.container():
                    show_chart(chart, f"wafer_chart_{key}_{index}")


def show_experts(view: View) -> None:
    """A mixture of experts on the wafer, or which models are one."""
    if not view.setting.model.n_experts:
        mixtures = ", ".join(as_plain(name) for name, shape in PRESETS.items() if shape.n_experts)
        st.info(
            f"{as_plain(view.setting.model.name)} has no experts: every token passes all of its weights. "
            f"Choose a mixture of experts above: {mixtures}.",
            icon=":material/hub:",
        )
        return
    st.caption(
        "Nobody has published a mixture of experts on a wafer: this tab is a model only, from the six "
        "constants that were fitted to dense models. Expert placement, imbalance and a router trace of "
        "your own are under “Mapping, grid, cache and defects” above."
    )
    show_tab("Experts", view)


def show_floorplan(view: View) -> None:
    """The model at work, then what lies where."""
    show_tab("Floorplan", view)
    _show_map(view.setting, view.placement)


@st.fragment
def _show_map(setting: Setting, placement: Placement) -> None:
    """One tab per wafer: the map, SRAM per region; then the yield."""
    view = st.segmented_control(
        "Colour the map by",
        list(wafer_floorplan.VIEWS),
        default="layer",
        required=True,
        format_func=lambda name: capitalised(wafer_floorplan.VIEWS[str(name)]),
        key="wafer_view",
    )
    with guarded():
        over_density = wafer_floorplan.yield_chart(setting)
        with guarded():
            _show_wafers(setting, placement, str(view))
        show_chart(over_density, "wafer_yield")


def _show_wafers(setting: Setting, placement: Placement, view: str) -> None:
    """A tab for each wafer, the open one drawn. Raises NoUsableWafer."""
    used = len({region.wafer for region in placement.layer_regions})
    defects = setting.defects(used)
    tabs = st.tabs([f"Wafer {n + 1}" for n in range(used)], on_change="rerun", key="wafer_number")
    for number, tab in enumerate(tabs):
        if tab.open:
            with tab:
                _show_wafer(placement, number, defects[number], view)


def _show_wafer(placement: Placement, number: int, defects: DefectMap, view: str) -> None:
    left, right = st.columns([3, 2], gap="medium")
    with left:
        show_chart(wafer_floorplan.floorplan_chart(placement, number, defects, view), f"wafer_map_{number}")
    with right:
        show_chart(wafer_floorplan.sram_chart(placement, number), f"wafer_sram_{number}")


@st.fragment
def show_layers(view: View) -> None:
    """Latency per transformer layer and inside one, by cause."""
    setting, placement = view.setting, view.placement
    phase = choose_phase("wafer_phase")
    tokens = setting.context if phase == "decode" else setting.prompt_tokens
    with guarded():
        timing = placed_timing(placement, phase, tokens, workload=view.workload)
        sure = view.intervals.token_s if phase == "decode" else view.intervals.prefill_s
        layers = layer_intervals(placement, phase, tokens, workload=view.workload)
        show_chart(cause_chart(timing, placement, sure, layers), "wafer_causes")
        slowest = slowest_layer(timing)
        within = operation_intervals(placement, phase, tokens, slowest, workload=view.workload)
        show_chart(operations_chart(timing, within, layers[slowest]), "wafer_operations")


def choose_phase(key: str) -> str:
    return str(
        st.segmented_control(
            "Phase",
            list(PHASE_NAMES),
            default="decode",
            required=True,
            format_func={"decode": "Decode (writing)", "prefill": "Prefill (reading)"}.__getitem__,
            key=key,
            label_visibility="collapsed",
        )
    )


def show_algorithms(view: View) -> None:
    """Why the algorithm matters."""
    st.markdown(
        "The same wafer, the same constants, other algorithms: on a mesh the way data takes decides, not "
        "the number of multiplications."
    )
    show_tab("Algorithms", view)
    st.dataframe(
        pd.DataFrame(
            [
                ("MeshGEMM", "product", "2 per step", "rows and columns are interleaved"),
                ("Cannon", "product", "P per step", "a mesh has no wrap-around link: one PE waits"),
                (
                    "SUMMA",
                    "product",
                    "P per step, a routing stage each",
                    "P senders need P routes; a router has 24",
                ),
                ("K-tree", "sum", "P hops, √P routing stages", "sums in groups, then sums of groups (K = 2)"),
                ("Pipeline", "sum", "P hops, P routing stages", "every PE adds and passes on"),
                ("Ring", "sum", "4 (P - 1) hops, 2 (P - 1) stages", "made for few, far-away machines"),
            ],
            columns=["Algorithm", "For", "Distance on P PEs", "Why"],
        ),
        hide_index=True,
        alt="What each of six algorithms pays in hops and routing stages",
    )


def show_evidence() -> None:
    """How well the model predicts what was measured, and what is published of services."""
    for plugin in of_tab("Evidence"):
        for chart in plugin.draw():
            show_chart(chart, f"wafer_chart_{plugin.key}")
        if plugin.key in BEHIND:
            BEHIND[plugin.key]()


def _show_calibration() -> None:
    st.markdown("**Predicted and measured**")
    st.dataframe(
        pd.DataFrame(rows.calibration_rows() + rows.capacity_rows()),
        hide_index=True,
        height="content",
        column_config=TABLE,
        alt="Every calibration row: predicted, measured, error in percent",
    )
    st.caption(
        "Measured on a WSE-2 by WaferLLM (He et al., OSDI 2025, arXiv 2502.04563v3, tables 3, 4 and 6); "
        "4,096 tokens. The capacities are not fitted, and right within tens of percent at best. Nothing "
        "about a WSE-3 was measured: it has the WSE-2's cycle counts with its own SIMD width, clock and "
        "mesh."
    )
    st.markdown("**The constants**")
    st.dataframe(
        pd.DataFrame(rows.constant_rows()),
        hide_index=True,
        column_config={
            "constant": "Constant",
            "cycles": st.column_config.NumberColumn("Cycles", help="Fitted", format="%.2f"),
            "plausible": "Plausible",
            "meaning": "What it pays for",
        },
        alt="Six fitted constants in cycles, with plausible ranges",
    )
    st.caption("Fitted to the rows above and to nothing else, all within what is physically plausible.")
    st.markdown("**The GPUs beside it**")
    st.dataframe(
        pd.DataFrame(rows.gpu_rows()),
        hide_index=True,
        column_config=TABLE,
        alt="Measured A100 rows beside the roofline",
    )
    st.caption(
        "SGLang on A100 80 GB, same source. The roofline reads all weights for every token at 60 % of the "
        "published bandwidth; an H100 is given the same shares of its own figures."
    )


def _show_variants() -> None:
    st.markdown("**How the structure was chosen**")
    st.dataframe(
        pd.DataFrame(rows.variant_rows()),
        hide_index=True,
        height="content",
        column_config={"name": st.column_config.TextColumn("Way to count", width="large")},
        alt="Mean absolute errors in percent of seven ways to count work, on fitted and on left-out rows",
    )
    st.caption(
        "Mean absolute errors in percent, decode / prefill: of the rows that were fitted, and of rows that "
        "were left out of the fit, one row, one model or one grid at a time. Printed by bench/fit_wafer.py "
        "--cross-validate."
    )


def _show_services() -> None:
    number = st.column_config.NumberColumn
    st.dataframe(
        pd.DataFrame(service_rows()),
        hide_index=True,
        height="content",
        column_config={
            "provider": "Provider",
            "model": "Model",
            "published": number("Published", format="%,.0f"),
            "when": "When",
            "modelled": number("Modelled", format="%,.0f"),
            "low": number("from", format="%,.0f"),
            "high": number("to", format="%,.0f"),
            "drafted": number("With drafts", format="%,.0f", help="Modelled, 70 % of 4 drafts kept"),
            "drafted_low": number("from ", format="%,.0f"),
            "drafted_high": number("to ", format="%,.0f"),
            "reading": st.column_config.TextColumn("Reading", width="large"),
            "how": st.column_config.TextColumn("Precision, drafts", width="medium"),
            "source": st.column_config.TextColumn("Source", width="medium"),
        },
        placeholder="–",
        alt="Published service speeds with date, source, the model's prediction and what the difference "
        "may mean",
    )


BEHIND = {"errors": _show_calibration, "programs": _show_variants, "services": _show_services}
"""Tables that stand behind a chart of the Evidence tab."""
