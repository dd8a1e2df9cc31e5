"""The address that others type or scan to join a round; no Streamlit."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit, urlunsplit


def join_address(here: str, round_uid: str) -> str:
    """The Competition page of a round, seen from other machines. here: the address of the host's own browser.

    A host whose browser runs on the server itself sees localhost, which nobody else can open: then the
    address of this machine in its network stands there. "" when the browser's address is not known.
    """
    parts = urlsplit(here)
    if not parts.hostname:
        return ""
    host = parts.hostname
    if _is_local(host):
        host = lan_address() or host
    port = f":{parts.port}" if parts.port else ""
    netloc = f"[{host}]{port}" if ":" in host else f"{host}{port}"
    folder = parts.path.rstrip("/").rpartition("/")[0]
    return urlunsplit((parts.scheme, netloc, f"{folder}/competition", f"round={round_uid}", ""))


def lan_address() -> str | None:
    """This machine's address in its network; None without one. Asks the routing table, sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # RFC 5737: an address of documentation, never anybody's
            found = str(probe.getsockname()[0])
        except OSError:
            return None
    return None if _is_local(found) else found


def _is_local(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
