"""Nothing is lost when the server stops: the same browser finds all of its work in a new process."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from grader.competition import Store
from tests.e2e.conftest import go, import_setup, serve

pytestmark = pytest.mark.e2e

CODE = "def calculate_user_metrics(u, s, e):\n    return {}"
SETUP = {
    "layers": [{"agents": [{"name": "Solo", "model": "say:a draft", "prompt": "Write it."}]}],
    "summarizer": {"name": "Summarizer", "model": f"say:```python\n{CODE}\n```", "prompt": "Combine."},
}


def test_a_restart_loses_nothing_and_forgetting_loses_all(
    browser: Browser, agents_url: str, tmp_path: Path
) -> None:
    database = f"sqlite:///{tmp_path / 'competition.sqlite3'}"
    store = Store.open(database)
    store.rounds.open(store.rounds.create("Monday", "user_metrics").id)
    store.close()
    cloud = {"CEREBRAS_API_KEY": "csk-test-5f1d3c", "CEREBRAS_BASE_URL": agents_url}
    settings = {**cloud, "COMPETITION_URL": database}
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    with serve(tmp_path, **settings) as url:
        work(context.new_page(), url)
    with serve(tmp_path, **settings) as url:  # another port: a browser's cookies do not know ports
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.goto(f"{url}/chat")
        expect(page.get_by_text("Will you be there tomorrow?")).to_be_visible()
        go(page, "Agents")
        expect(page.get_by_label("Name · 1.1")).to_have_value("Solo")
        go(page, "Challenge")
        expect(page.get_by_role("heading", name="Attempt 1")).to_be_visible()
        go(page, "Competition")
        expect(page.get_by_text("You are Ada.")).to_be_visible()
        page.goto(url)
        page.get_by_role("button", name="Forget everything here").click()
        page.get_by_role("button", name="Forget it all").click()
        expect(page.get_by_text("0 questions, 0 attempts and 0 seats")).to_be_visible()
        page.goto(f"{url}/competition")
        expect(page.get_by_label("Nickname", exact=True)).to_be_visible()
    context.close()


def work(page: Page, url: str) -> None:
    """Agents, a question, an attempt, and a seat in the round."""
    page.set_default_timeout(30_000)
    page.goto(f"{url}/agents")
    import_setup(page, SETUP)
    go(page, "Chat")
    page.get_by_test_id("stChatInputTextArea").fill("Will you be there tomorrow?")
    page.keyboard.press("Enter")
    expect(page.get_by_text("What this run took")).to_be_visible()
    go(page, "Challenge")
    page.get_by_role("button", name="Let the agents write it").click()
    expect(page.get_by_role("tab", name="The code that was graded")).to_be_visible(timeout=60_000)
    go(page, "Competition")
    page.get_by_label("Nickname", exact=True).fill("Ada")
    page.get_by_role("button", name="Join the round").click()
    expect(page.get_by_text("You are Ada.")).to_be_visible()
