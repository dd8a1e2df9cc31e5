"""The session of this browser. Every page calls `init_session()` first."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from pages.parts.navigation import enter
from pages.parts.settings import secret
from pages.state.session import Session
from pages.state.session_store import SessionStore, is_key, new_key

__all__ = ["Session", "forget_everything", "init_session", "keep_key", "sessions"]

COOKIE = "moa_workshop"
COOKIE_DAYS = 180
KEY, SESSION, SAVED = "moa_key", "moa_session", "moa_saved"
ROOT = Path(__file__).parents[2]

# The browser keeps its key in a cookie of this app's own: a reload, a second tab and a restart send it before
# the page is drawn. No network, nothing but these lines.
_KEEPER_JS = """
export default function ({ data }) {
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie =
    `${data.name}=${data.key}; Path=/; Max-Age=${data.days * 86400}; SameSite=Lax${secure}`;
}
"""
_keeper = st.components.v2.component("moa_workshop_key", js=_KEEPER_JS)


def sessions() -> SessionStore:
    """The one store of sessions, in MOA_SESSIONS_DIR or in data/sessions."""
    return _sessions(secret("MOA_SESSIONS_DIR") or str(ROOT / "data" / "sessions"))


@st.cache_resource(show_spinner=False)
def _sessions(folder: str) -> SessionStore:
    store = SessionStore(Path(folder).expanduser())
    store.clean()
    return store


def init_session() -> Session:
    """The session of this browser, found again or made on the first call; safe to call any number of times.

    What was changed since the last rerun (callbacks ran before this) is written down.
    """
    enter()
    if SESSION not in st.session_state:
        sent = st.context.cookies.get(COOKIE)
        st.session_state[KEY] = sent if is_key(sent) else new_key()
        st.session_state[SESSION] = sessions().get(st.session_state[KEY])
    session: Session = st.session_state[SESSION]
    mark = session.mark()
    if st.session_state.get(SAVED) != mark:
        st.session_state[SAVED] = mark
        session.save()
    return session


def keep_key() -> None:
    """Have the browser keep its key, when it has not sent it yet."""
    key = st.session_state.get(KEY)
    if key is not None and st.context.cookies.get(COOKIE) != key:
        _keeper(key="moa_keeper", data={"name": COOKIE, "key": key, "days": COOKIE_DAYS}, height=0)


def forget_everything() -> None:
    """Stop what runs, and take all of this browser off the server; from now on it has another key."""
    sessions().forget(st.session_state[KEY])
    for name in list(st.session_state):
        if name != "moa_entered":
            del st.session_state[name]
    st.session_state[KEY] = new_key()
    st.session_state[SESSION] = sessions().get(st.session_state[KEY])
