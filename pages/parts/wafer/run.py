"""The tab about the run just made: measured here beside modelled there, and the same run elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import streamlit as st

from pages.parts.run_report import show_calls, show_totals
from pages.parts.wafer.chart import duration, duration_between, show_chart
from pages.parts.wafer.choice import shape_of
from pages.parts.wafer.layers import comparison_story, measured_chart, modelled_chart
from pages.parts.wafer.machines import machines_chart
from pages.parts.wafer.sections import choose_phase, guarded
from pages.parts.wafer.view import View
from pages.state import wafer_machines as machines
from pages.state.measured import PhaseTotal, measured_models, phase_total
from pages.state.text import as_plain, count, shortened, size
from pages.state.turn import Turn
from pages.state.wafer_run import longest_call, tokens_of
from pages.state.wafer_setting import Setting, unique
from wse_backend.wafer.economics import pipeline_intervals
from wse_backend.wafer.placement import Placement
from wse_backend.wafer.placement_timing import PlacedTiming, layer_intervals, placed_timing
from wse_backend.wafer.shapes import BYTES_PER_VALUE, PRESETS
from wse_backend.wafer.timing.interval import Interval

COLUMNS = {
    "machine": st.column_config.TextColumn("Machine"),
    "prefill": st.column_config.TextColumn("Prefill", help="In brackets: refits on fewer measured rows"),
    "decode": st.column_config.TextColumn("Decode"),
    "total_s": st.column_config.NumberColumn("Whole run (s)", format="%.4g"),
    "low_s": st.column_config.NumberColumn("from", format="%.4g"),
    "high_s": st.column_config.NumberColumn("to", format="%.4g"),
    "kind": st.column_config.TextColumn("Kind", width="small"),
    "note": st.column_config.TextColumn("How, or why not", width="large"),
}
QUESTION_CHARS = 160


def show_run(run: Turn | None, setting: Setting, view: View | None) -> None:
    """What the last run took here, and what it would have taken elsewhere.

    view: of the setting; None where it was refused, which the page has said already.
    """
    if run is None or not run.records:
        st.info("There is no run yet. Ask your agents something first.", icon=":material/timer:")
        st.page_link("pages/chat.py", label="Go to the chat", icon=":material/forum:")
        st.markdown(
            "Until then, this is the modelled half, for the model chosen above; your run will stand beside "
            "it, measured transformer layer by transformer layer."
        )
        if view is not None:
            _show_modelled_alone(view)
        _show_machines(None, setting)
        return
    st.markdown(f"**The last run:** {as_plain(shortened(run.question, QUESTION_CHARS))}")
    show_totals(run)
    _show_machines(run, setting)  # first of all whether these models need a wafer
    if measured_models(run.records):
        _show_side_by_side(run, setting if view else replace(setting, mapping="layer", side=None))
    else:
        st.info(
            "All calls of this run went to the cloud, which reports no times per transformer layer. Choose "
            "in-process models on the Agents page to see them.",
            icon=":material/cloud:",
        )
    with st.expander("The calls of this run", icon=":material/table:"):
        show_calls(run)


@st.fragment
def _show_side_by_side(run: Turn, setting: Setting) -> None:
    """Measured and modelled, the same model, layer by layer."""
    st.subheader("Measured here, modelled there")
    models = measured_models(run.records)
    with st.container(horizontal=True):
        phase = choose_phase("wafer_run_phase")
        model = models[0]
        if len(models) > 1:
            model = st.selectbox(
                "Model of the run", models, key="wafer_run_model", label_visibility="collapsed", width=280
            )
    total = phase_total(run.records, model, phase)
    if total is None:
        st.info(f"No call of this run has a measured {phase}: its prompts came from the cache.")
        return
    with guarded():
        shape = shape_of(model)
        if shape is None:
            return
        longest = longest_call(run.records, model)
        there = setting.with_model(shape, longest)
        placement, tokens = there.placement(), tokens_of(run.records, total)
        timing = placed_timing(placement, phase, tokens, workload=there.workload())
        timed = replace(there.workload(), context=tokens, prompt_tokens=tokens)
        found = pipeline_intervals(placement, timed)
        sure = found.token_s if phase == "decode" else found.prefill_s
        layers = layer_intervals(placement, phase, tokens, workload=there.workload())
        _draw_pair(total, timing, placement, sure, layers)


def _draw_pair(
    total: PhaseTotal,
    timing: PlacedTiming,
    placement: Placement,
    sure: Interval,
    layers: Sequence[Interval],
) -> None:
    with st.grid(2, min_column_width=380):
        with st.container():
            show_chart(measured_chart(total), f"wafer_here_{total.phase}")
        with st.container():
            show_chart(modelled_chart(timing, placement, sure, layers), f"wafer_there_{total.phase}")
    st.caption(comparison_story(total, timing, sure))


def _show_modelled_alone(view: View) -> None:
    with guarded():
        timing = placed_timing(view.placement, "decode", view.setting.context, workload=view.workload)
        layers = layer_intervals(view.placement, "decode", view.setting.context, workload=view.workload)
        chart = modelled_chart(timing, view.placement, view.intervals.token_s, layers)
        show_chart(chart, "wafer_there_alone")


@st.fragment
def _show_machines(run: Turn | None, setting: Setting) -> None:
    """One point per machine for the whole call graph, after whether the model needs a wafer."""
    found = machines.calls_of(run.records) if run else {}
    own = [(shape, calls) for name, calls in found.items() if (shape := shape_of(name))]
    n_calls = sum(len(calls) for calls in found.values()) or len(machines.EXAMPLE_CALLS)
    every_call = [call for calls in found.values() for call in calls] or list(machines.EXAMPLE_CALLS)
    is_own = bool(own) and len(own) == len(found)
    names = " and ".join(shape.name for shape, _ in own)
    st.subheader("The same run on other machines" if run else "An example run on other machines")
    choices: dict[str, machines.Graph] = {"chosen": [(setting.model, every_call)]}
    if is_own and names != setting.model.name:
        choices = {"own": own, **choices}
    elif is_own:
        choices = {"own": own}
    labels = {"own": f"{as_plain(names)}, as it ran", "chosen": as_plain(setting.model.name)}
    first = next(iter(choices.values()))
    if all(machines.is_too_small(shape) for shape, _ in first):
        small = " and ".join(as_plain(shape.name) for shape, _ in first)
        large = PRESETS[machines.LARGE_MODEL]
        choices = {"large": [(large, every_call)], **choices}
        labels["large"] = as_plain(large.name)
        st.markdown(
            f"**{small} is too small to need a wafer:** any machine reads its weights in no time. The same "
            f"calls with {as_plain(large.name)}, {size(large.params * BYTES_PER_VALUE)} of weights, show "
            "what a wafer is for."
        )
    graph = next(iter(choices.values()))
    if len(choices) > 1:
        choice = st.segmented_control(
            "Replay it with",
            list(choices),
            default=next(iter(choices)),
            required=True,
            key=f"wafer_replay_{'_'.join(choices)}",
            format_func=labels.__getitem__,
        )
        graph = choices[str(choice)]
    unknown = " The run's own model has no known shape." if found and not is_own else ""
    with guarded():
        bars = machines.replay_bars(graph, setting.spec, setting.program)
        if run is not None:
            bars.append(_measured_bar(run, "" if graph is own else names))
        show_chart(machines_chart(bars, _what(run, graph, n_calls) + unknown), "wafer_machines")
        with st.expander("The numbers, and how each machine was used", icon=":material/table:"):
            st.dataframe(
                pd.DataFrame([_spoken(row) for row in machines.table_rows(bars)]),
                hide_index=True,
                column_config=COLUMNS,
                placeholder="–",
                alt="Seconds of prefill and decode on every machine",
            )
            st.caption(
                "Agent layers wait for one another; the agents of an agent layer run at once. For GPUs "
                "no kernel launch is counted, which flatters them for small models. A WSE-3 was never "
                "measured: it has the cycle counts fitted on a WSE-2 with its own SIMD width and mesh."
            )


def _spoken(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the table with its intervals in words."""
    return {
        name: duration_between(value) if isinstance(value, Interval) else value for name, value in row.items()
    }


def _measured_bar(run: Turn, models: str) -> machines.Bar:
    """The run as it was; models: named where the other bars are another model's."""
    here = bool(measured_models(run.records))
    label = ("This machine" if here else "The cloud, as it was") + (f",<br>{models}" if models else "")
    return machines.Bar(label, run.total_s, "wall-clock time of your run", "measured")


def _what(run: Turn | None, graph: machines.Graph, n_calls: int) -> str:
    names = " and ".join(as_plain(shape.name) for shape, _ in graph)
    tokens = sum(call.completion_tokens for _, calls in graph for call in calls)
    whose = "your run's" if run else "an example's"
    measured = ""
    if run:
        ran = " and ".join(as_plain(name) for name in unique(record.model for record in run.records))
        measured = f" Your run itself, with {ran}, took {duration(run.total_s)}."
    written = f"{count(n_calls, 'call')} and {count(tokens, 'written token')}"
    return f"{written}, {whose} call graph, with {names}.{measured}"
