"""Where the time of the last run went: milliseconds per transformer layer, by operation."""

import streamlit as st

from pages.ui.layout import page_body, row
from pages.ui.measured import measured_models
from pages.ui.run_report import show_calls, show_layer_charts, show_totals
from pages.ui.session import init_session
from pages.ui.text import as_plain, shortened

session = init_session()

with page_body():
    with row():
        st.title("Wafer")
    st.caption(
        "A model is a stack of transformer layers, and every token passes through all of them. These charts "
        "show how long each layer took in your last run, split by operation."
    )
    run = session.last_run
    if run is None or not run.records:
        st.info("There is no run yet. Ask your agents something first.", icon=":material/timer:")
        st.page_link("pages/chat.py", label="Go to the chat", icon=":material/forum:")
    else:
        st.markdown(f"**The last run:** {as_plain(shortened(run.name, 160))}")
        show_totals(run)
        if measured_models(run.records):
            st.subheader("Measured on this machine")
            show_layer_charts(run, key="wafer", phases=("prefill", "decode"))
        else:
            st.info(
                "All calls of this run went to the cloud, which reports no times per layer. Choose "
                "in-process models on the Agents page to see them.",
                icon=":material/cloud:",
            )
        st.subheader("The calls")
        show_calls(run)
