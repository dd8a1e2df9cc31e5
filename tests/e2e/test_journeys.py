"""What people do in real browsers: the guided run, reloads, a second attempt, a link, a phone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import go, import_setup, serve

pytestmark = pytest.mark.e2e

WRITER = "say:```python\ndef calculate_user_metrics(u, s, e):\n    return {}\n```"
ANSWER = "Because of Rayleigh scattering."


def setup(summarizer: str = f"say:{ANSWER}", agent: str = "say:a draft") -> dict[str, Any]:
    """One agent and a summarizer on the test server."""
    return {
        "name": "A neighbour's agents",
        "layers": [{"agents": [{"name": "Solo", "model": agent, "prompt": "Answer."}]}],
        "summarizer": {"name": "Summarizer", "model": summarizer, "prompt": "Combine."},
    }


@pytest.fixture(scope="module")
def app_url(agents_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app with a key for the test server."""
    folder = tmp_path_factory.mktemp("journeys")
    key = {"CEREBRAS_API_KEY": "csk-test-5f1d3c", "CEREBRAS_BASE_URL": agents_url}
    with serve(folder, LAB_STORE=str(folder / "lab.sqlite"), **key) as url:
        yield url


def prepare(page: Page, **models: str) -> None:
    """Use agents on the test server."""
    page.goto("/agents")
    import_setup(page, setup(**models))


def ask(page: Page, question: str) -> None:
    go(page, "Chat")
    page.get_by_test_id("stChatInputTextArea").fill(question)
    page.keyboard.press("Enter")


def test_a_guest_is_led_from_the_first_page_to_an_opened_call(page: Page) -> None:
    prepare(page)
    page.goto("/")
    page.get_by_role("button", name="Guided first run").click()
    expect(page.get_by_text("Guided first run, 1 of 5: Ask")).to_be_visible()
    page.get_by_text("Why is the sky blue?", exact=True).click()
    expect(page.get_by_text(ANSWER, exact=True).first).to_be_visible()
    page.get_by_role("button", name="Next step").click()
    expect(page.get_by_text("Guided first run, 2 of 5")).to_be_visible()
    page.get_by_role("button", name="Next step").click()
    expect(page.get_by_text("3 of 5: Open a call")).to_be_visible()
    page.get_by_role("button", name="Open the summarizer's call").click()
    page.get_by_role("tab", name="What it was sent").click()
    expect(page.get_by_role("dialog").get_by_text("a draft")).to_be_visible()


def test_a_run_goes_on_through_a_reload_and_is_found_again(page: Page) -> None:
    prepare(page, agent="slow:4")
    ask(page, "Will you survive?")
    expect(page.get_by_text("Agent layer 1 of 1", exact=True)).to_be_visible()
    page.reload()
    expect(page.get_by_text("Will you survive?")).to_be_visible()
    expect(page.get_by_text(ANSWER, exact=True).first).to_be_visible()
    tab = page.context.new_page()
    tab.goto("/chat")
    expect(tab.get_by_text(ANSWER, exact=True).first).to_be_visible()


def test_another_browser_sees_nothing_of_it(page: Page, browser: Browser, app_url: str) -> None:
    prepare(page)
    ask(page, "Only mine")
    expect(page.get_by_text(ANSWER, exact=True).first).to_be_visible()
    other = browser.new_context(base_url=app_url)
    stranger = other.new_page()
    stranger.goto("/chat")
    expect(stranger.get_by_text("Or start with one of these")).to_be_visible()
    assert stranger.get_by_text("Only mine").count() == 0
    other.close()


def test_a_second_attempt_is_compared_with_the_first(page: Page) -> None:
    prepare(page, summarizer=WRITER)
    go(page, "Challenge")
    page.get_by_role("button", name="Let the agents write it").click()
    expect(page.get_by_role("heading", name="Attempt 1")).to_be_visible()
    expect(page.get_by_role("tab", name="The code that was graded")).to_be_visible()
    go(page, "Agents")
    import_setup(
        page, setup(summarizer="say:```python\ndef calculate_user_metrics(u, s, e):\n    return 1\n```")
    )
    go(page, "Challenge")
    page.get_by_role("button", name="Let the agents write it").click()
    expect(page.get_by_role("heading", name="Attempt 2")).to_be_visible()
    page.get_by_text("What changed between two attempts").click()
    page.get_by_role("tab", name="The code", exact=True).click()
    expect(page.get_by_role("tabpanel").get_by_text("+    return 1").last).to_be_visible()


def test_a_small_screen_shows_the_report_of_a_new_attempt_when_it_comes(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 600})
    prepare(page, summarizer=WRITER, agent="slow:2")
    page.goto("/challenge")
    for number in (1, 2):
        page.get_by_role("button", name="Let the agents write it").click()
        expect(page.get_by_role("tab", name="The code that was graded")).to_be_hidden()
        expect(page.get_by_role("tab", name="The code that was graded")).to_be_visible()
        expect(page.get_by_role("heading", name=f"Attempt {number}")).to_be_in_viewport()
        page.get_by_role("button", name="Let the agents write it").scroll_into_view_if_needed()


def test_a_link_carries_the_setup_to_another_browser(page: Page, browser: Browser, app_url: str) -> None:
    prepare(page)
    page.get_by_role("button", name="Share").click()
    link = page.get_by_test_id("stCode").filter(has_text="setup=").inner_text().replace("\n", "")
    other = browser.new_context(base_url=app_url)
    neighbour = other.new_page()
    neighbour.goto(link[link.index("/agents?") :])
    expect(neighbour.get_by_text("A setup came with this link: A neighbour's agents")).to_be_visible()
    neighbour.get_by_role("button", name="Use it").click()
    expect(neighbour.get_by_label("Name · 1.1")).to_have_count(1)
    expect(neighbour.get_by_label("Name · 1.1")).to_have_value("Solo")
    other.close()


def test_on_a_phone_the_list_of_pages_closes_and_nothing_is_wider_than_the_screen(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/")
    expect(page.get_by_role("heading", name="MoA workshop", level=1)).to_be_visible()
    for title in ("Chat", "Agents", "Challenge", "Learn"):
        page.get_by_test_id("stExpandSidebarButton").click()
        page.get_by_test_id("stSidebarNavLink").filter(has_text=title).click()
        expect(page.get_by_role("heading", name=title, level=1)).to_be_visible()
        expect(page.get_by_test_id("stSidebarNavLink").first).not_to_be_in_viewport()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_an_experiment_goes_on_elsewhere_and_its_tries_can_be_opened_and_taken_away(page: Page) -> None:
    prepare(page, summarizer=WRITER)
    go(page, "Lab")
    page.get_by_role("button", name="Start: 8 tries").click()
    expect(page.get_by_label("Your experiments")).to_be_visible()
    go(page, "Chat")
    go(page, "Lab")
    expect(page.locator(".js-plotly-plot .scatterlayer .point")).to_have_count(9)  # tries, and their median
    page.get_by_text("Open a trial").click()
    expect(page.get_by_role("button", name="Replay this try")).to_be_visible()
    for button, first in (("Trials as CSV", "label,seed,score"), ("Report as HTML", "<!doctype html>")):
        with page.expect_download() as download:
            page.get_by_role("button", name=button).click()
        assert download.value.path().read_text().lower().startswith(first)
