"""A cloud key of the visitor's own: typed into a field, kept in this tab's session and nowhere else."""

from __future__ import annotations

import streamlit as st

from pages.parts import backend
from pages.parts.settings import OWN_KEY

FIELD = "own_key_typed"


def take_key() -> None:
    """The field was changed: use what stands in it, or nothing."""
    typed = (st.session_state[FIELD] or "").strip()
    st.session_state[OWN_KEY] = typed or None
    backend.forget_listing()


def forget_key() -> None:
    """Use no key of one's own any more."""
    st.session_state[OWN_KEY] = None
    st.session_state[FIELD] = ""
    backend.forget_listing()


def draw_own_key() -> None:
    """The field, and what becomes of the key."""
    st.text_input(
        "Your own Cerebras API key",
        type="password",
        key=FIELD,
        on_change=take_key,
        max_chars=200,
        autocomplete="off",
        help="With it the cloud's models join the model pickers, for you alone.",
    )
    st.caption(
        "It stays in this tab's session on the server: it is never written down, shown, logged or "
        "exported, and "
        "a reload forgets it. Calls with it are billed to you."
    )
    if st.session_state.get(OWN_KEY):
        st.button("Forget the key", icon=":material/key_off:", key="own_key_forget", on_click=forget_key)
