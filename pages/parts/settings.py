"""Settings of the app: Streamlit's secrets, else the environment; and what is wrong with the secrets."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from typing import Any

import streamlit as st
from streamlit.errors import StreamlitSecretNotFoundError

OWN_KEY = "moa_own_key"  # a visitor's own cloud key, in this tab's session only
LISTS = ("HOST_EMAILS",)  # settings that may be lists; all others are texts
PLACE = re.compile(r"at (line \d+, column \d+|end of document)")


def secret(name: str) -> str | None:
    """A setting from Streamlit's secrets, else from the environment; None when it is in neither."""
    if secrets_problem() is None and name in st.secrets:
        return str(st.secrets[name]) or None
    return os.environ.get(name) or None


def host_emails() -> frozenset[str]:
    """HOST_EMAILS: the addresses of those who may open the Host page by signing in; a list, or commas.

    Plain letters lose their case.
    """
    found: object = os.environ.get("HOST_EMAILS", "")
    if secrets_problem() is None and "HOST_EMAILS" in st.secrets:
        found = st.secrets["HOST_EMAILS"]
    listed = found.split(",") if isinstance(found, str) else found if isinstance(found, list) else []
    return frozenset(email_key(str(each)) for each in listed if str(each).strip())


def email_key(email: str) -> str:
    """An address as it is compared. Only plain letters lose their case: the sign of the kelvin is no k."""
    email = email.strip()
    return email.lower() if email.isascii() else email


def listed_servers() -> list[Any]:
    """The `[[servers]]` of the secrets: model servers beside those that a key or an address switches on."""
    if secrets_problem() is None and "servers" in st.secrets:
        found = st.secrets["servers"]
        return [dict(item) if isinstance(item, Mapping) else item for item in found]
    return []


def cluster_scheduler() -> str | None:
    """`[cluster] scheduler` of the secrets: experiments and grades then run on that Dask cluster."""
    if secrets_problem() is None:
        address = st.secrets.get("cluster", {}).get("scheduler")
        return str(address) if address else None
    return None


def secrets_problem() -> str | None:
    """Why the secrets cannot be read; None when they can. "" when there are none, which is fine.

    The reason names the place in the file, never what stands there: that may be a key.
    """
    try:
        len(st.secrets)
    except StreamlitSecretNotFoundError as exc:
        if not isinstance(exc.__cause__, tomllib.TOMLDecodeError | TypeError):
            return ""
        place = PLACE.search(str(exc.__cause__))
        return f"secrets.toml is no valid TOML{f', {place[1]}' if place else ''}"
    except (OSError, UnicodeDecodeError) as exc:
        return f"secrets.toml cannot be read ({type(exc).__name__})"
    return _wrong_shape()


def _wrong_shape() -> str | None:
    """What in readable secrets is not of the shape that it is read in; by its name, never its value."""
    for place in (("connections",), ("connections", "competition"), ("cluster",)):
        found: Any = st.secrets
        for name in place:
            found = found.get(name, {})
        if not isinstance(found, Mapping):
            section = ".".join(place)
            return f"{section} in secrets.toml is no section; it begins with a line [{section}]"
    servers = st.secrets.get("servers", [])
    if not isinstance(servers, list):
        return "servers in secrets.toml is no list; each server begins with a line [[servers]]"
    for name, value in st.secrets.items():
        if name.isupper() and name not in LISTS and not isinstance(value, str | int | float):
            return f'{name} in secrets.toml is no text; it is written {name} = "..."'
    return None


def show_settings_problem() -> None:
    """Say that the secrets are ignored, and what to do; nothing when they are fine."""
    problem = secrets_problem()
    if problem:
        st.error(
            f"{problem}. No secret is used until it is mended: put every text in quotes, one "
            '`NAME = "value"` on a line, and reload this page.',
            title="The app's secrets are not readable",
            icon=":material/key_off:",
        )
