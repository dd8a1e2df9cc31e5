"""The frame that every page draws itself in."""

from __future__ import annotations

from typing import Literal

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.parts.contrast import mend_contrast
from pages.parts.navigation import close_menu
from pages.parts.notices import draw_notices
from pages.parts.session import keep_key
from pages.parts.settings import show_settings_problem

PAGE_WIDTH_PX = 1120  # wide enough for three agents side by side, narrow enough to read


def page_body(*, is_wall: bool = False) -> DeltaGenerator:
    """A centred column of at most PAGE_WIDTH_PX; the page draws everything inside it. is_wall: as wide as the
    window, and without the line of announcements, which a wall shows in its own size.
    """
    width: int | Literal["stretch"] = "stretch" if is_wall else PAGE_WIDTH_PX
    body = st.container(horizontal_alignment="center").container(width=width)
    # What draws nothing stands in one place without gaps, so that the title below it never moves.
    with body, st.container(gap=None):
        keep_key()
        close_menu()
        mend_contrast()
        show_settings_problem()
        if not is_wall:
            draw_notices()
    return body


def page_title(title: str) -> DeltaGenerator:
    """The page's title; returns the line that it stands in, for what belongs at its right."""
    line = row(horizontal_alignment="distribute", vertical_alignment="center")
    line.title(title)
    return line


def row(**options: object) -> DeltaGenerator:
    """A horizontal container: its children keep their own width and wrap on a narrow screen."""
    return st.container(horizontal=True, **options)  # type: ignore[arg-type]
