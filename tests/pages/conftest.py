"""The app in a fresh session, and a real server process that speaks the cloud's protocol."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import streamlit as st
from streamlit.components.v2 import manifest_scanner
from streamlit.components.v2.manifest_scanner import scan_component_manifests

from tests.pages.harness import KEY, ROOT, App, Cloud

SERVER = ROOT / "tests" / "moa_core" / "openai_server.py"


@pytest.fixture(scope="session", autouse=True)
def _one_look_for_components() -> Iterator[None]:
    """Streamlit looks through all installed packages for components whenever an app is made: 0.3 s each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", cache(scan_component_manifests))
        yield


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A key of the machine's user never reaches a test."""
    monkeypatch.setenv("MOA_SESSIONS_DIR", str(tmp_path / "sessions"))
    monkeypatch.delenv("CEREBRAS_API_KEY", raising=False)
    monkeypatch.delenv("CEREBRAS_BASE_URL", raising=False)
    st.cache_data.clear()


@pytest.fixture
def cloud(_no_key: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """The cloud, configured by environment as a user would, on a server of its own."""
    process = subprocess.Popen(
        [sys.executable, str(SERVER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    server = Cloud(f"http://127.0.0.1:{int(process.stdout.readline())}/v1")
    monkeypatch.setenv("CEREBRAS_API_KEY", KEY)
    monkeypatch.setenv("CEREBRAS_BASE_URL", server.url)
    yield server
    process.stdin.close()
    process.wait(timeout=10)
    process.stdout.close()


@pytest.fixture
def app(_no_key: None) -> App:
    """The app on its first page, in a fresh session; ask for `cloud` before it to have a key."""
    return App()
