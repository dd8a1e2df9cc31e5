"""Real names by a sign-in, hosts by their address, and time that is the server's whatever the browser's says.

The server's own zone changes its clocks while this runs: a POSIX TZ names the second (POSIX.1-2017, 8.3).
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, Page, expect

from grader.competition import Store
from tests.e2e.conftest import ROOT, serve
from tests.grader.competition.samples import scored

pytestmark = pytest.mark.e2e

SERVER = ROOT / "tests" / "e2e" / "oidc_server.py"
CLIENT, SECRET = "workshop", "a-secret-of-the-client"
ADDRESS = re.compile(r"@school\.example", re.IGNORECASE)
CLOCK_CHANGE_S, SHIFT_H = 9, 7
WRONG_CLOCK = f"""
  const Right = Date;
  const ahead = {SHIFT_H} * 3600 * 1000;
  globalThis.Date = class extends Right {{
    constructor(...given) {{ given.length ? super(...given) : super(Right.now() + ahead); }}
    static now() {{ return Right.now() + ahead; }}
  }};
"""


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    """The address of an identity provider."""
    command = [sys.executable, str(SERVER), CLIENT, SECRET]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    process.stdin.close()
    process.wait(timeout=10)
    process.stdout.close()


def changing_zone(at_s: float) -> str:
    """A zone at UTC whose clocks go forward an hour at `at_s`. Its days are counted without 29 February."""
    at = datetime.fromtimestamp(at_s, UTC)
    day = date(2001, at.month, min(at.day, 28) if at.month == 2 else at.day).timetuple().tm_yday
    return f"AAA0BBB,J{day}/{at:%H:%M:%S},J{day % 365 + 1}/0"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('sign_in') / 'competition.sqlite3'}"


@pytest.fixture(scope="module")
def change_s() -> float:
    """When the clocks of the server's zone go forward."""
    return time.time() + CLOCK_CHANGE_S


@pytest.fixture(scope="module")
def app_url(
    provider: str, database: str, change_s: float, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The app with sign-in, and no password for its host."""
    folder = tmp_path_factory.mktemp("app")
    secrets = folder / "secrets.toml"
    secrets.write_text(
        'HOST_EMAILS = ["bob@school.example"]\n'
        "[auth]\n"
        'redirect_uri = "http://127.0.0.1:{port}/oauth2callback"\n'
        'cookie_secret = "not-a-secret-but-long-enough-for-one"\n'
        f'client_id = "{CLIENT}"\nclient_secret = "{SECRET}"\n'
        f'server_metadata_url = "{provider}/.well-known/openid-configuration"\n'
    )
    settings = {
        "COMPETITION_URL": database,
        "STREAMLIT_SECRETS_FILES": str(secrets),
        "TZ": changing_zone(change_s),
    }
    with serve(folder, **settings) as url:
        yield url
    assert SECRET not in (folder / "server.log").read_text()


def sign_in(page: Page, who: str) -> None:
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name=who).click()


def seconds_of(clock: str) -> int:
    """ "9:41" in seconds."""
    minutes, _, seconds = clock.partition(":")
    return 60 * int(minutes) + int(seconds)


def test_names_are_real_and_hosts_are_known_by_their_address(
    page: Page, browser: Browser, app_url: str, database: str, change_s: float
) -> None:
    host = browser.new_context(
        viewport={"width": 1280, "height": 900}, base_url=app_url, timezone_id="Asia/Kathmandu"
    )
    host.add_init_script(WRONG_CLOCK)
    desk = host.new_page()
    desk.set_default_timeout(30_000)
    desk.goto("/host")
    sign_in(desk, "bob")
    desk.get_by_label("Title", exact=True).fill("Monday")  # back on the Host page, and in
    desk.get_by_label("Minutes", exact=True).fill("10")
    desk.get_by_role("button", name="Create and open").click()
    expect(desk.get_by_text("The round is open.")).to_be_visible()

    page.goto("/competition")
    expect(page.get_by_label("Nickname", exact=True)).to_have_count(0)
    sign_in(page, "ada")
    page.get_by_role("button", name="Join as Ada Lovelace").click()
    expect(page.get_by_text("You are Ada Lovelace.")).to_be_visible()
    store = Store.open(database)
    (made,) = store.rounds.all()
    (ada,) = store.participants.of_round(made.id)
    scored(store, ada, "k", 50)
    desk.get_by_text("Projector", exact=True).click()
    expect(desk.locator(".podium .step .name")).to_have_text(["Ada Lovelace"])

    time.sleep(max(0.0, change_s + 0.5 - time.time()))  # the server's clocks have changed since it opened
    assert made.closes_ms is not None
    shown = seconds_of(desk.locator(".clock").inner_text())
    assert shown == pytest.approx(made.closes_ms / 1000 - time.time(), abs=60)  # the shifts are hours
    until = datetime.fromtimestamp(made.closes_ms / 1000, ZoneInfo("Asia/Kathmandu"))
    desk.goto("/competition")
    expect(desk.get_by_text(f"open until {until:%H:%M:%S}")).to_be_visible()
    assert not ADDRESS.search(desk.content() + page.content())
    host.close()

    page.goto("/host")
    expect(page.get_by_text("This account is not on the list of hosts.")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    sign_in(page, "mallory")  # claims the host's address, and that address for a name
    expect(page.get_by_text("The address is not verified")).to_be_visible()
    expect(page.get_by_label("Title", exact=True)).to_have_count(0)
    page.get_by_role("link", name="Competition", exact=True).click()
    expect(page.get_by_label("Your name")).to_be_visible()  # not Ada's seat, and no address for a name
    assert not ADDRESS.search(page.content())
    store.close()
