"""Secrets that cannot be read are said on every page, and never quoted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit import config

from tests.pages.harness import App

SECRET = "csk-do-not-show"


@pytest.fixture
def secrets_file(tmp_path: Path) -> Iterator[Path]:
    """An empty place where Streamlit looks for secrets, forgotten afterwards."""
    path = tmp_path / "secrets.toml"
    before = config.get_option("secrets.files")
    config.set_option("secrets.files", [str(path)])
    st.secrets._reset()
    yield path
    config.set_option("secrets.files", before)
    st.secrets._reset()


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (f"CEREBRAS_API_KEY = {SECRET}\n".encode(), "no valid TOML, line 1, column 20"),
        (f'CEREBRAS_API_KEY = "{SECRET}'.encode(), "no valid TOML, end of document"),
        (b'HOST_PASSWORD = "\xff\xfe"', "cannot be read (UnicodeDecodeError)"),
        (f'connections = "{SECRET}"'.encode(), "connections in secrets.toml is no section"),
        (f'[connections]\ncompetition = "{SECRET}"'.encode(), "connections.competition in secrets.toml is"),
        (f'cluster = "{SECRET}"'.encode(), "cluster in secrets.toml is no section"),
        (f'servers = "{SECRET}"'.encode(), "servers in secrets.toml is no list"),
        (f'[servers]\napi_key = "{SECRET}"'.encode(), "servers in secrets.toml is no list"),
        (f'[HOST_PASSWORD]\nvalue = "{SECRET}"'.encode(), "HOST_PASSWORD in secrets.toml is no text"),
        (f'CEREBRAS_API_KEY = ["{SECRET}"]'.encode(), "CEREBRAS_API_KEY in secrets.toml is no text"),
    ],
    ids=[
        *("no quotes", "open quotes", "not UTF-8", "no section", "no section inside", "no cluster"),
        *("no list", "one section", "a section as text", "a list as text"),
    ],
)
def test_unreadable_secrets_are_said_by_their_place_alone(
    secrets_file: Path, app: App, written: bytes, said: str
) -> None:
    secrets_file.write_bytes(written)
    assert said in app.open("agents").everything
    assert SECRET not in app.everything


def test_readable_and_missing_secrets_are_no_problem(secrets_file: Path, app: App) -> None:
    assert "secrets are not readable" not in app.open("agents").everything
    secrets_file.write_text('CEREBRAS_BASE_URL = "http://127.0.0.1:9"')
    assert "secrets are not readable" not in app.open("agents").everything
