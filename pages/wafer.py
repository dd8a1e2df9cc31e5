"""A model on a wafer: the last run beside it, where each layer lives, where time goes, what it costs."""

import streamlit as st

from pages.parts.layout import page_body, page_title
from pages.parts.session import init_session
from pages.parts.wafer import sections as sections
from pages.parts.wafer.choice import choose
from pages.parts.wafer.run import show_run
from pages.parts.wafer.view import View
from pages.parts.words import draw_words
from pages.state.measured import measured_models
from pages.state.routing import router_traces
from wse_backend.errors import WseError

TABS = [
    "Your run",
    "Floorplan",
    "Latency",
    "Scaling",
    "Experts",
    "Algorithms",
    "Users and cost",
    "Evidence",
]

session = init_session()

with page_body():
    page_title("Wafer")
    st.caption(
        "A wafer-scale chip keeps a whole model in the SRAM of some 900,000 small processing elements "
        "(PEs), so no token waits for memory. Lay a model out on it, see where the time goes, and compare "
        "it with the run that your agents just made."
    )
    draw_words(wafer="Wafer and PE", prefill="Prefill and decode", cache="KV cache", first="First token")
    run = session.last_run
    run_models = list(dict.fromkeys(record.model for record in run.records)) if run else []
    setting = view = None
    try:
        records = run.records if run else ()
        setting = choose(measured_models(records) or run_models, router_traces(records))
        view = View(setting, setting.placement())
        sections.show_summary(view)
    except WseError as exc:
        sections.show_refusal(exc)
        view = None
    tabs = dict(zip(TABS, st.tabs(TABS, on_change="rerun", key="wafer_tab"), strict=True))
    for name, tab in tabs.items():
        if not tab.open:
            continue
        with tab:
            if name == "Evidence":
                sections.show_evidence()
            elif setting is None:
                st.caption("There is nothing to draw until the setting above is possible.")
            elif name == "Your run":
                show_run(run, setting, view)
            elif view is None:
                st.caption("There is nothing to draw until the setting above is possible.")
            elif name == "Floorplan":
                sections.show_floorplan(view)
            elif name == "Latency":
                sections.show_layers(view)
            elif name == "Experts":
                sections.show_experts(view)
            elif name == "Algorithms":
                sections.show_algorithms(view)
            else:
                sections.show_tab(name, view)
