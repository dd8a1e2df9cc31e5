"""What the host must know of the model servers: what they announced, and what is left of their keys."""

from __future__ import annotations

import streamlit as st

from moa_core.errors import MoAError
from moa_core.providers.known_servers import KNOWN_SERVERS
from pages.parts import backend
from pages.state.text import as_plain


def draw_servers() -> None:
    """Folded away: the servers that the settings name, their notices and allowances, and how to add one."""
    try:
        online, notices = backend.servers(), backend.host_notices()
    except MoAError as exc:
        st.warning(
            as_plain(str(exc)), title="The model servers are not set up right", icon=":material/cloud_off:"
        )
        return
    with st.expander("Model servers", icon=":material/cloud:", expanded=any("its end" in n for n in notices)):
        if not online:
            st.markdown("None: all models run in this app.")
        for server in online:
            tier = f", service tier {server.service_tier}" if server.service_tier else ""
            st.markdown(f"**{as_plain(server.title)}** · {as_plain(server.base_url + tier)}")
        for notice in notices:
            st.caption(as_plain(notice))
        if online and not notices:
            st.caption("No server has announced anything, and no key's allowance is known yet.")
        _draw_known_servers()


def _draw_known_servers() -> None:
    """The kinds of server that the app knows: the usual address of each, and the settings that add it."""
    rows = [
        {
            "server": known.title,
            "address": known.base_url,
            "added_by": known.secret if known.is_public else known.address_setting,
            "key": known.secret,
        }
        for known in KNOWN_SERVERS
    ]
    st.markdown("**To add one**, put its setting into the app's secrets or environment:")
    st.dataframe(
        rows,
        hide_index=True,
        column_config={
            "server": st.column_config.TextColumn("Server"),
            "address": st.column_config.TextColumn("Usual address"),
            "added_by": st.column_config.TextColumn(
                "Added by", help="A service by its key, others by address."
            ),
            "key": st.column_config.TextColumn(
                "Its key is in", help="Needed only where the server wants one"
            ),
        },
        alt=f"{len(rows)} kinds of model server with their usual address and settings",
    )
    st.caption(
        "Any other server that speaks the OpenAI chat protocol goes under `[[servers]]` of the secrets; "
        "docs/providers.md says what each does differently."
    )
