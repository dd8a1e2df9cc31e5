"""The pages of the app and how they are reached."""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from streamlit.navigation.page import StreamlitPage

ICON = Path(__file__).parent / "icon.svg"
ENTERED = "moa_entered"
APP_NAME = "MoA workshop"
CHOSEN = "moa_page"

# On a phone the list of pages lies over the page and stays there after a choice. This may be mounted after
# the first choice, so a first mount counts as one where the address is not the one that was loaded.
_CLOSE_MENU_JS = """
export default function ({ data }) {
  const before = window.moaPage;
  window.moaPage = data.page;
  const loaded = new URL(performance.getEntriesByType("navigation")[0].name).pathname;
  const isChosen = before === undefined ? location.pathname !== loaded : before !== data.page;
  if (!isChosen || window.innerWidth >= 768) return;
  document.querySelector('[aria-label="Collapse sidebar"][aria-expanded="true"]')?.click();
}
"""
_menu_closer = st.components.v2.component("moa_workshop_menu", js=_CLOSE_MENU_JS)


def configure() -> None:
    """Title, icon and width of every page."""
    st.set_page_config(page_title=APP_NAME, page_icon=ICON, layout="wide")


def navigation() -> StreamlitPage:
    """The bar of pages; returns the one to run."""
    st.session_state[ENTERED] = True
    pages = [
        st.Page(
            "pages/start.py",
            title="Start",
            icon=":material/home:",
            default=True,
            help="What this is, your agents at a glance, and the ways on.",
        ),
        st.Page(
            "pages/chat.py",
            title="Chat",
            icon=":material/forum:",
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
            "pages/lab.py",
            title="Lab",
            icon=":material/science:",
            help="Try setups over many seeds, compare them, leave parts out, and search for better ones.",
        ),
        st.Page(
            "pages/models.py",
            title="Models",
            icon=":material/database:",
            help="The models on this disk, two side by side, and what a router does.",
        ),
        st.Page(
            "pages/wafer.py",
            title="Wafer",
            icon=":material/memory:",
            help="Lay a model out on a wafer and see your last run beside it, layer by layer.",
        ),
        st.Page(
            "pages/learn.py",
            title="Learn",
            icon=":material/school:",
            help="Look a word up: each idea in a few sentences, with a live chart.",
        ),
        st.Page(
            "pages/competition.py",
            title="Competition",
            icon=":material/leaderboard:",
            help="Join a round, submit what your agents wrote, see where you stand.",
        ),
        st.Page(
            "pages/host.py",
            title="Host",
            icon=":material/key:",
            help="Run a round. For teachers: it opens with a password.",
        ),
    ]
    chosen = st.navigation(pages, position="top")
    st.set_page_config(page_title=f"{chosen.title} · {APP_NAME}")
    st.session_state[CHOSEN] = chosen.title
    return chosen


def close_menu() -> None:
    """Close the list of pages on a narrow screen once another page was chosen."""
    _menu_closer(key="moa_menu", data={"page": st.session_state.get(CHOSEN, "")}, height=0)


def enter() -> None:
    """Bring up the bar on a page that was run without streamlit_app.py.

    Streamlit takes a folder called pages/ for its old automatic mode until st.navigation has run once in the
    process, so the very first visit after a start may run a page alone. One rerun later all is in place.
    """
    if not st.session_state.get(ENTERED):
        configure()
        navigation()
        st.rerun()
