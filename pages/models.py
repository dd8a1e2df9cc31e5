"""The models of this app: what is on the disk, what files say of themselves, two side by side, a router."""

import streamlit as st

from pages.parts import model_panel
from pages.parts.layout import page_body, page_title
from pages.parts.session import init_session
from pages.parts.words import draw_words

TABS = ["On this disk", "Side by side", "Router", "Add and delete"]

init_session()

with page_body():
    page_title("Models")
    st.caption("Open-weight models that run in this app, without a server. Any of them can be an agent's.")
    draw_words(experts="Experts and router", attention="Attention", token="Token")
    files = model_panel.files_here()
    runnable = [name for name, found in files.items() if found.problem is None]
    tabs = dict(zip(TABS, st.tabs(TABS, on_change="rerun", key="models_tab"), strict=True))
    for name, tab in tabs.items():
        if not tab.open:
            continue
        with tab:
            if name == "On this disk":
                model_panel.show_table(files)
                chosen = st.selectbox("What a file says of itself", list(files), key="models_file")
                if chosen:
                    model_panel.show_file(chosen, files[chosen])
            elif name == "Side by side" and runnable:
                model_panel.show_side_by_side(runnable)
            elif name == "Side by side":
                st.caption("Fetch a model first, on the tab “On this disk”.")
            elif name == "Router":
                model_panel.show_router([model for model in runnable if files[model].n_experts])
                model_panel.show_groups(files)
            else:
                model_panel.show_changes(files)
