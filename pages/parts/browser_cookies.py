"""Small secrets that this browser keeps, so that a reload or a second tab is still the same person.

Streamlit tells a page the cookies of its browser but cannot set one; a component without any picture does.
"""

from __future__ import annotations

import streamlit as st

PENDING = "browser_cookies"
DAYS = 30

_SET_COOKIES = """
export default function ({ data }) {
  const secure = location.protocol === "https:" ? "; Secure" : "";
  for (const [name, value] of Object.entries(data.cookies)) {
    const age = value === "" ? 0 : data.seconds;
    const about = `path=/; max-age=${age}; SameSite=Strict${secure}`;
    document.cookie = `${name}=${encodeURIComponent(value)}; ${about}`;
  }
}
"""
_keeper = st.components.v2.component("browser_cookies", html="<span hidden></span>", js=_SET_COOKIES)


def keep_in_browser(name: str, value: str) -> None:
    """Let the browser keep `value`, from the next `draw_cookies` on; "" makes it forget."""
    st.session_state.setdefault(PENDING, {})[name] = value


def kept_in_browser(name: str) -> str:
    """What the browser keeps by this name; "" for nothing."""
    pending: dict[str, str] = st.session_state.get(PENDING, {})
    value = pending[name] if name in pending else st.context.cookies.get(name)
    return value if isinstance(value, str) else ""


def browser_address() -> str | None:
    """The address this browser comes from; None for this machine, or a proxy on it."""
    address = st.context.ip_address
    return address if isinstance(address, str) else None


def draw_cookies() -> None:
    """Hand over what this session wants kept; at the end of a page that keeps something."""
    pending = st.session_state.get(PENDING)
    if pending:
        _keeper(data={"cookies": pending, "seconds": DAYS * 86_400}, key="browser_cookies_keeper")
