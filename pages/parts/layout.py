"""The frame that every page draws itself in."""

from __future__ import annotations

from typing import Literal

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.parts.navigation import close_menu
from pages.parts.notices import draw_notices
from pages.parts.session import keep_key
from pages.parts.settings import show_settings_problem

PAGE_WIDTH_PX = 1120  # wide enough for three agents side by side, narrow enough to read


def page_body(*, is_wide: bool = False) -> DeltaGenerator:
    """A centred column of at most PAGE_WIDTH_PX; the page draws everything inside it. is_wide: as wide as the
    window.
    """
    width: int | Literal["stretch"] = "stretch" if is_wide else PAGE_WIDTH_PX
    body = st.container(horizontal_alignment="center").container(width=width)
    with body:
        keep_key()
        close_menu()
        show_settings_problem()
        with st.container():  # its place is kept without a notice, so that nothing below it moves
            draw_notices()
    return body


def row(**options: object) -> DeltaGenerator:
    """A horizontal container: its children keep their own width and wrap on a narrow screen."""
    return st.container(horizontal=True, **options)  # type: ignore[arg-type]
