"""A button that hands a file to the browser, without running the page again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath

import streamlit as st

KINDS = {
    ".csv": "text/csv",
    ".gz": "application/gzip",
    ".html": "text/html",
    ".json": "application/json",
    ".md": "text/markdown",
    ".zip": "application/zip",
}
"""MIME type by the ending of the file's name."""


def offer_file(
    label: str,
    data: str | Callable[[], str | bytes],
    name: str,
    *,
    key: str,
    icon: str = "",
    about: str | None = None,
    is_disabled: bool = False,
    is_primary: bool = False,
) -> None:
    """data: the file, or what makes it when it is asked for. icon: a name of Material's."""
    st.download_button(
        label,
        data,
        name,
        KINDS[PurePath(name).suffix],
        key=key,
        icon=f":material/{icon}:" if icon else None,
        help=about,
        disabled=is_disabled,
        type="primary" if is_primary else "secondary",
        on_click="ignore",
    )
