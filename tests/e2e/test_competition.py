"""A round in real browsers: the host opens it, a participant submits what agents wrote, the board moves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import go, import_setup, serve

pytestmark = pytest.mark.e2e

GRADED_MS = 60_000
PASSWORD = "a-long-host-password"
REPLY = (
    "Here:\n\n```python\ndef calculate_user_metrics(users, start_date, end_date):\n"
    "    return {'average_engagement': 0, 'top_performers': [], 'active_count': 0}\n```\n"
)
SETUP = {
    "layers": [{"agents": [{"name": "Solo", "model": "say:a draft", "prompt": "Write it."}]}],
    "summarizer": {"name": "Summarizer", "model": f"say:{REPLY}", "prompt": "Combine."},
}


@pytest.fixture(scope="module")
def app_url(agents_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app with a host password and a database of its own."""
    folder = tmp_path_factory.mktemp("competition")
    settings = {
        "CEREBRAS_API_KEY": "csk-test-5f1d3c",
        "CEREBRAS_BASE_URL": agents_url,
        "HOST_PASSWORD": PASSWORD,
        "COMPETITION_URL": f"sqlite:///{folder / 'competition.sqlite3'}",
    }
    with serve(folder, **settings) as url:
        yield url


def test_a_round_from_opening_to_the_board(page: Page, browser: Browser, app_url: str) -> None:
    page.goto("/host")
    page.get_by_label("Host password").fill(PASSWORD)
    page.get_by_role("button", name="Enter").click()
    page.get_by_label("Title", exact=True).fill("Monday")
    page.get_by_role("button", name="Create and open").click()
    expect(page.get_by_text("The round is open.")).to_be_visible()
    page.get_by_text("Projector", exact=True).click()
    expect(page.get_by_text("The first score appears here by itself.")).to_be_visible()

    wide = browser.new_context(viewport={"width": 1280, "height": 900}, base_url=app_url)
    student = wide.new_page()
    student.set_default_timeout(30_000)
    student.goto("/competition")
    student.get_by_label("Nickname", exact=True).fill("Ada")
    student.get_by_role("button", name="Join the round").click()
    expect(student.get_by_text("Write this code down.")).to_be_visible()
    go(student, "Agents")
    import_setup(student, SETUP)
    go(student, "Challenge")
    student.get_by_role("button", name="Let the agents write it").click()
    graded = student.get_by_role("tab", name="The code that was graded")
    expect(graded).to_be_visible(timeout=GRADED_MS)
    go(student, "Competition")
    student.get_by_role("button", name="Submit attempt 1").click()
    expect(student.get_by_text("1 of 1", exact=True)).to_be_visible(timeout=GRADED_MS)

    expect(page.get_by_text("1 participant · 1 submission")).to_be_visible()
    expect(page.locator(".podium .step .name")).to_have_text(["Ada"])
    page.set_viewport_size({"width": 390, "height": 844})
    expect(page.locator(".podium .step .name")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    wide.close()
