"""Hand a setup to a neighbour: a link that carries it, and a QR code for the room; and take one in."""

from __future__ import annotations

import io
from collections.abc import Callable
from urllib.parse import urlsplit, urlunsplit

import streamlit as st

from moa_core import ConfigError, MoAConfig
from pages.parts.layout import row
from pages.state.config_diff import config_diff
from pages.state.setup_link import MAX_QR_CHARS, link, unpack
from pages.state.text import as_plain, capitalised, count

PARAMETER = "setup"


def page_address() -> str:
    """The address of the Agents page as this browser knows it."""
    parts = urlsplit(st.context.url or "http://localhost:8501/")
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rsplit("/", 1)[0] + "/agents", "", ""))


def draw_share(config: MoAConfig | None) -> None:
    """The link and its QR code, or why there is none."""
    if config is None:
        st.caption("The setup is not complete; then there is a link.")
        return
    found = link(page_address(), config)
    if found is None:
        st.caption("This setup is too long for a link. Export it and hand the file on.")
        return
    st.caption("Whoever opens this link sees the setup and can take it over. It holds no key.")
    st.code(found, language=None, wrap_lines=True, height=110)
    if len(found) <= MAX_QR_CHARS:
        st.image(qr_svg(found), caption="For the room: scan it", width=320)
    else:
        st.caption("Too long for a QR code that a phone can read; shorter prompts make one.")


def qr_svg(text: str) -> str:
    """A QR code as SVG, dark on white in both themes, with the quiet zone that scanners want."""
    import segno

    out = io.BytesIO()
    segno.make(text, error="l", micro=False).save(out, kind="svg", scale=4, border=4, light="#ffffff")
    return out.getvalue().decode()


def draw_arrival(current: MoAConfig | None, take: Callable[[MoAConfig], None]) -> None:
    """A setup that came with the address: what would change, and two buttons. Nothing is replaced unasked."""
    packed = st.query_params.get(PARAMETER)
    if not packed:
        return
    try:
        arrived = unpack(packed)
    except ConfigError as exc:
        st.error(as_plain(capitalised(str(exc))), title="The setup of this link cannot be read")
        st.button("Go on without it", key="agents_link_drop", on_click=forget_arrival)
        return
    if current is not None and arrived == current:
        forget_arrival()
        return
    with st.container(border=True):
        st.markdown(f"**A setup came with this link:** {as_plain(arrived.name or 'without a name')}")
        draw_change(current, arrived)
        with row():
            st.button(
                "Use it",
                type="primary",
                icon=":material/check:",
                key="agents_link_use",
                on_click=use_arrival,
                args=(arrived, take),
            )
            st.button("Keep mine", key="agents_link_keep", on_click=forget_arrival)


def use_arrival(arrived: MoAConfig, take: Callable[[MoAConfig], None]) -> None:
    """Take the setup over."""
    take(arrived)
    forget_arrival()


def forget_arrival() -> None:
    """Take the setup out of the address."""
    st.query_params.pop(PARAMETER, None)


def draw_change(current: MoAConfig | None, coming: MoAConfig) -> None:
    """What a new setup would change, line by line."""
    if current is None:
        return
    diff = config_diff(current.to_json(), coming.to_json())
    if diff:
        with st.expander(
            f"What will change ({count(len(diff.splitlines()), 'line')})", icon=":material/difference:"
        ):
            st.code(diff, language="diff", wrap_lines=True, height=260)
    else:
        st.caption("It is the setup that you have.")
