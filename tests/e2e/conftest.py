"""The app as its users run it: a server process on a free port, and Debian's chromium."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, expect, sync_playwright

ROOT = Path(__file__).parents[2]
SERVER = ROOT / "tests" / "moa_core" / "openai_server.py"
START_LIMIT_S = 60
CHROMIUM_FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
# On a page's own URL Streamlit's front end first asks below that path for the server; it expects the 404.
EXPECTED_404 = ("/_stcore/health", "/_stcore/host-config")
expect.set_options(timeout=30_000)  # machines are shared; nothing here asserts how fast they are
INTERRUPTED = "undefined"  # with that, Plotly rejects the promise of an animation that somebody pauses


@contextmanager
def serve(folder: Path, **settings: str) -> Iterator[str]:
    """A running app with these settings alone; yields its address, stops it by its own process id."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("CEREBRAS_")}
    environment |= {"MOA_SESSIONS_DIR": str(folder / "sessions"), **settings}
    command = [sys.executable, "-m", "streamlit", "run", "streamlit_app.py", "--server.headless=true"]
    with (folder / "server.log").open("a+") as log:
        process = subprocess.Popen(
            [*command, "--server.address=127.0.0.1", f"--server.port={port}"],
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_until_healthy(f"http://127.0.0.1:{port}", process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(timeout=20)
        log.seek(0)
        said = log.read()
    assert "Traceback" not in said, said
    for secret in settings.values():
        assert secret not in said or secret.startswith(("http", "sqlite", "/"))


@pytest.fixture(scope="module")
def app_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running app without any key."""
    with serve(tmp_path_factory.mktemp("app")) as url:
        yield url


@pytest.fixture(scope="module")
def agents_url() -> Iterator[str]:
    """A server process that speaks the cloud's protocol and answers what a model's name says."""
    process = subprocess.Popen(
        [sys.executable, str(SERVER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
    process.stdin.close()
    process.wait(timeout=10)
    process.stdout.close()


def wait_until_healthy(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline:
        assert process.poll() is None, "the app ended while it was starting"
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=5):
                return
        except urllib.error.URLError:
            time.sleep(0.2)
    pytest.fail(f"the app did not answer within {START_LIMIT_S} s")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless chromium of the system; playwright's own browsers are not downloaded."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("no chromium on this machine; .ci/run installs it")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield found
        found.close()


class Complaints:
    """What the browser's console said that it should not have."""

    def __init__(self, page: Page) -> None:
        self.heard: list[str] = []
        page.on("console", self._console)
        page.on("pageerror", self._error)

    def _error(self, error: Error) -> None:
        if str(error) != INTERRUPTED:
            self.heard.append(str(error))

    def _console(self, message: ConsoleMessage) -> None:
        is_expected = message.location.get("url", "").endswith(EXPECTED_404)
        if message.type == "error" and not is_expected:
            self.heard.append(f"{message.text} ({message.location.get('url', '')})")


@pytest.fixture
def page(browser: Browser, app_url: str) -> Iterator[Page]:
    """A fresh browser tab; afterwards no exception may be on the page and no error in the console."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, base_url=app_url)
    tab = context.new_page()
    tab.set_default_timeout(30_000)
    complaints = Complaints(tab)
    yield tab
    exceptions = tab.locator("[data-testid=stException]").all_inner_texts()
    context.close()
    assert exceptions == []
    assert complaints.heard == []


def go(page: Page, title: str) -> None:
    """Click a page's link in the bar."""
    page.get_by_role("link", name=title, exact=True).click()
    expect(page.get_by_role("heading", name=title, level=1)).to_be_visible()


def import_setup(page: Page, setup: dict[str, Any]) -> None:
    """Paste a setup on the Agents page."""
    page.get_by_role("button", name="Import").first.click()
    page.get_by_label("Or paste it here").fill(json.dumps(setup))
    page.keyboard.press("Control+Enter")
    button = page.locator(".st-key-agents_import button")
    expect(button).to_be_enabled()
    button.click()
    expect(page.get_by_text("The setup was imported")).to_be_visible()
    expect(page.get_by_label("Or paste it here")).to_be_hidden()  # the box has closed
