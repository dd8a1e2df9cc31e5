"""Entry of the app: page configuration and navigation, nothing else."""

from pathlib import Path

import streamlit as st

ICON = Path(__file__).parent / "pages" / "ui" / "icon.svg"

st.set_page_config(page_title="MoA workshop", page_icon=ICON, layout="wide")

page = st.navigation(
    [
        st.Page(
            "pages/chat.py",
            title="Chat",
            icon=":material/forum:",
            default=True,
            help="Ask a question and watch every agent answer it, layer by layer.",
        ),
        st.Page(
            "pages/agents.py",
            title="Agents",
            icon=":material/hub:",
            help="Set up the summarizer, the layers and the agents in them.",
        ),
        st.Page(
            "pages/challenge.py",
            title="Challenge",
            icon=":material/trophy:",
            help="Let your agents write a function and get it graded.",
        ),
        st.Page(
            "pages/wafer.py",
            title="Wafer",
            icon=":material/memory:",
            help="See where the time of your last run went, layer by layer.",
        ),
    ],
    position="top",
)
page.run()
