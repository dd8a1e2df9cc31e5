"""The tabs of the Wafer page. Each draws itself for a Setting; library errors reach `guarded`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pandas as pd
import streamlit as st

from pages.parts.wafer import cost as wafer_cost
from pages.parts.wafer import curves as wafer_curves
from pages.parts.wafer import evidence as wafer_evidence
from pages.parts.wafer import floorplan as wafer_floorplan
from pages.parts.wafer.chart import duration, kib, rate, show_chart
from pages.parts.wafer.layers import PHASE_NAMES, cause_chart, operations_chart
from pages.state import wafer_evidence as rows
from pages.state.text import as_plain, capitalised, count
from pages.state.wafer_setting import Setting, parameters
from wse_backend.errors import BrokenGGUF, DoesNotFit, GridTooLarge, InvalidParams, NoUsableWafer, WseError
from wse_backend.wafer.defects import DefectMap
from wse_backend.wafer.economics import Prices, pipeline
from wse_backend.wafer.placed import placed_timing
from wse_backend.wafer.placement import Placement

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
                "a region of "
                "its own."
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


def show_summary(setting: Setting, placement: Placement) -> None:
    """The setting in four numbers. Raises InvalidParams."""
    found = pipeline(placement, prompt_tokens=setting.prompt_tokens)
    used = max(region.bytes_per_pe for region in placement.layer_regions)
    with st.grid(4, min_column_width=150):
        st.metric("Tokens/s of one user", rate(1 / found.token_s).removesuffix(" tokens/s"), border=True)
        st.metric("First token after", duration(found.prefill_s), border=True)
        st.metric("SRAM per PE, of 48 KB", kib(used), border=True)
        st.metric("Room for tokens", f"{placement.max_context:,}", border=True)
    st.caption(
        f"Modelled: {as_plain(setting.model.name)} ({parameters(setting.model)}, fp16) on "
        f"{placement.wafers} x {placement.spec.name}: {count(len(placement.layer_regions), 'region')} for "
        f"{setting.model.n_layers} transformer layers, {setting.context:,} tokens in the cache, a prompt of "
        f"{setting.prompt_tokens:,}."
    )


@st.fragment
def show_floorplan(setting: Setting, placement: Placement) -> None:
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
def show_layers(setting: Setting, placement: Placement) -> None:
    """Latency per layer and inside a layer, by cause."""
    phase = choose_phase("wafer_phase")
    tokens = setting.context if phase == "decode" else setting.prompt_tokens
    with guarded():
        timing = placed_timing(placement, phase, tokens)
        show_chart(cause_chart(timing, placement), "wafer_causes")
        show_chart(operations_chart(timing), "wafer_operations")


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


@st.fragment
def show_curves(setting: Setting, placement: Placement) -> None:
    """One question at a time: grid size, context, wafers, batch."""
    curve = st.segmented_control(
        "What changes",
        list(wafer_curves.CURVES),
        default="grid",
        required=True,
        format_func=wafer_curves.CURVES.__getitem__,
        key="wafer_curve",
    )
    with guarded():
        match curve:
            case "grid":
                with st.grid(2, min_column_width=380):
                    for phase in PHASE_NAMES:
                        with st.container():
                            show_chart(wafer_curves.grid_chart(setting, phase), f"wafer_grid_{phase}")
            case "context":
                show_chart(wafer_curves.context_chart(setting, placement), "wafer_contexts")
            case "wafers":
                with st.grid(2, min_column_width=380):
                    for index, chart in enumerate(wafer_curves.wafers_charts(setting)):
                        with st.container():
                            show_chart(chart, f"wafer_wafers_{index}")
            case _:
                show_chart(wafer_curves.batch_chart(setting), "wafer_batches")


def show_algorithms(setting: Setting) -> None:
    """Why the algorithm matters."""
    st.markdown(
        "The same wafer, the same constants, other algorithms: on a mesh the way data takes decides, not "
        "the number of multiplications."
    )
    with guarded(), st.grid(2, min_column_width=380):
        with st.container():
            show_chart(wafer_curves.gemm_chart(setting), "wafer_gemm")
        with st.container():
            show_chart(wafer_curves.allreduce_chart(setting), "wafer_allreduce")
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


@st.fragment
def show_cost(placement: Placement, setting: Setting) -> None:
    """Streams, throughput and cost, from inputs that people can change."""
    with st.grid(5, min_column_width=140):
        system = st.number_input("Price of a system (million USD)", 0.0, None, 2.5, 0.5, key="wafer_usd")
        power = st.number_input("Power of a system (kW)", 0.0, None, 23.0, 1.0, key="wafer_kw")
        years = st.number_input("Years of use", 0.0, None, 3.0, 0.5, key="wafer_years")
        kwh = st.number_input("Energy (USD per kWh)", 0.0, None, 0.20, 0.05, key="wafer_kwh")
        price = st.number_input("Price (USD per million tokens)", 0.0, None, 0.60, 0.1, key="wafer_price")
    prices = Prices(system * 1e6, power, years, kwh, price)
    with guarded():
        found = pipeline(placement, prompt_tokens=setting.prompt_tokens)
        with st.grid(2, min_column_width=380):
            with st.container():
                show_chart(wafer_cost.streams_chart(found, placement), "wafer_streams")
            with st.container():
                show_chart(wafer_cost.cost_chart(found, placement, prices), "wafer_cost")
    st.caption(
        "23 kW is the published power of one system. The prices are inputs, not facts: change them. The "
        "machines are taken to run without a pause."
    )


def show_evidence() -> None:
    """How well the model predicts what was measured."""
    show_chart(wafer_evidence.error_chart(), "wafer_errors")
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
    show_chart(wafer_evidence.service_chart(), "wafer_services")
