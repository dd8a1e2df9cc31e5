"""Draws an error that a user may see, with what to do about it."""

from __future__ import annotations

import streamlit as st

from pages.state.advice import Shown, advice, words
from pages.state.text import as_plain, capitalised

__all__ = ["Shown", "show_problem"]


def show_problem(error: Exception) -> None:
    """The error, its own words, and the next step."""
    title, step = advice(error)
    st.error(f"{_lines(capitalised(words(error)))}\n\n{step}", title=title, icon=":material/error:")


def _lines(message: str) -> str:
    """The message with its line breaks kept and its Markdown made harmless."""
    items = [line.strip() for line in message.splitlines() if line.strip()]
    return "\n".join(f"- {as_plain(i[2:])}" if i.startswith("- ") else f"{as_plain(i)}\n" for i in items)
