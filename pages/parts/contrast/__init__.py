"""What no theme reaches and cannot be seen: Streamlit's own faint colours, and focus that is not shown."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

FOLDER = Path(__file__).parent


def _sheet(name: str) -> str:
    return (FOLDER / f"{name}.css").read_text("utf-8")


# Components without a shadow root of their own: the rules hold for the page they are on.
_SHEETS = {
    kind: st.components.v2.component(
        f"moa_workshop_contrast_{kind}", css=_sheet("focus") + _sheet(kind), isolate_styles=False
    )
    for kind in ("light", "dark")
}


def mend_contrast() -> None:
    """Bring the rules for the theme that this browser shows."""
    kind = "dark" if st.context.theme.type == "dark" else "light"
    _SHEETS[kind](key="moa_contrast", height=0)
