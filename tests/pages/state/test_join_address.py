"""The address on the wall is one that others can open."""

from __future__ import annotations

import ipaddress

import pytest

from pages.state.join_address import join_address, lan_address


@pytest.mark.parametrize(
    ("here", "there"),
    [
        ("https://moa.streamlit.app/host", "https://moa.streamlit.app/competition?round=u1"),
        ("http://192.168.1.5:8501/host?x=1", "http://192.168.1.5:8501/competition?round=u1"),
        ("http://school.org/moa/host/", "http://school.org/moa/competition?round=u1"),
        ("http://[2001:db8::7]:8501/host", "http://[2001:db8::7]:8501/competition?round=u1"),
        ("", ""),
    ],
)
def test_a_hosts_address_becomes_that_of_the_round(here: str, there: str) -> None:
    assert join_address(here, "u1") == there


def test_localhost_becomes_this_machine_in_its_network() -> None:
    mine = lan_address()
    assert mine is None or not ipaddress.ip_address(mine).is_loopback
    for local in ("localhost", "127.0.0.1", "[::1]"):
        assert join_address(f"http://{local}:8501/host", "u1").startswith(
            f"http://{mine or local}:8501/competition"
        )
