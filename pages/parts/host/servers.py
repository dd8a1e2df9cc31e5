"""What the host must know of the model servers: what they announced, and what is left of their keys."""

from __future__ import annotations

import streamlit as st

from moa_core.errors import MoAError
from pages.parts import backend
from pages.state.text import as_plain


def draw_servers() -> None:
    """Folded away: the servers that the settings name, their notices and allowances; nothing without any."""
    try:
        online, notices = backend.servers(), backend.host_notices()
    except MoAError as exc:
        st.warning(
            as_plain(str(exc)), title="The model servers are not set up right", icon=":material/cloud_off:"
        )
        return
    if not online:
        return
    with st.expander("Model servers", icon=":material/cloud:", expanded=any("its end" in n for n in notices)):
        for server in online:
            tier = f", service tier {server.service_tier}" if server.service_tier else ""
            st.markdown(f"**{as_plain(server.title)}** · {as_plain(server.base_url + tier)}")
        for notice in notices:
            st.caption(as_plain(notice))
        if not notices:
            st.caption("No server has announced anything, and no key's allowance is known yet.")
