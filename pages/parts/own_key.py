"""A cloud key of the visitor's own: typed into a field, kept in this tab's session and nowhere else."""

from __future__ import annotations

import streamlit as st

from moa_core.errors import MoAError
from moa_core.providers.server_address import checked_key
from pages.parts import backend
from pages.parts.settings import OWN_KEY
from pages.state.text import as_plain

FIELD, PROBLEM = "own_key_typed", "own_key_problem"


def take_key() -> None:
    """The field was changed: use what stands in it, or nothing."""
    typed = (st.session_state[FIELD] or "").strip()
    try:
        st.session_state[OWN_KEY] = checked_key(typed) or None
        st.session_state[PROBLEM] = ""
    except MoAError as exc:
        st.session_state[OWN_KEY] = None
        st.session_state[PROBLEM] = str(exc).removeprefix("api_key: ")
    backend.forget_listing()


def forget_key() -> None:
    """Use no key of one's own any more."""
    st.session_state[OWN_KEY] = None
    st.session_state[FIELD] = st.session_state[PROBLEM] = ""
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
    if st.session_state.get(PROBLEM):
        st.error(f"The key {as_plain(st.session_state[PROBLEM])}.", icon=":material/key_off:")
    st.caption(
        "It stays in this tab's session on the server: it is never written down, shown, logged or "
        "exported, and "
        "a reload forgets it. Calls with it are billed to you."
    )
    if st.session_state.get(OWN_KEY):
        st.button("Forget the key", icon=":material/key_off:", key="own_key_forget", on_click=forget_key)
