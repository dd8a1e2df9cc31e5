"""Ways from a word on a page to the idea behind it on the Learn page."""

from __future__ import annotations

import streamlit as st

from pages.parts.layout import row

LEARN = "pages/learn.py"


def draw_words(**ideas: str) -> None:
    """One line of links: an idea's name on the Learn page, and the words that a reader has just met."""
    with row(vertical_alignment="center", gap="small"):
        st.caption("Look up:", width="content")
        for idea, words in ideas.items():
            st.page_link(LEARN, label=words, icon=":material/school:", query_params={"idea": idea})
