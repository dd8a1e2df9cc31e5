"""The running app in a real browser: every page, and a question from first to last on real weights."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.e2e

PAGES = {
    "Agents": ("agents", "Each layer reads the answers of the one before it"),
    "Challenge": ("challenge", "11 checks, 120 points"),
    "Models": ("models", "Open-weight models that run in this app"),
    "Wafer": ("wafer", "There is no run yet"),
    "Chat": ("chat", "Or start with one of these"),
    "MoA workshop": ("", "No key and no account are needed."),
}
SLOW_MS = 30_000
FIRST_RUN_MS = 90_000  # the kernels may have to be compiled first


@pytest.mark.parametrize("title", PAGES)
def test_every_page_opens_at_its_own_address(page: Page, title: str) -> None:
    """The first of these is the first visit after a start; Streamlit serves it without the entry script."""
    path, words = PAGES[title]
    page.goto(f"/{path}")
    expect(page.get_by_role("heading", name=title, level=1)).to_be_visible()
    expect(page.get_by_text(words)).to_be_visible()
    expect(page.get_by_role("link", name="Challenge", exact=True)).to_be_visible()


def test_every_page_opens_by_click(page: Page) -> None:
    page.goto("/")
    for title, (path, words) in PAGES.items():
        page.get_by_role("link", name=title if path else "Start", exact=True).click()
        expect(page.get_by_role("heading", name=title, level=1)).to_be_visible()
        expect(page.get_by_text(words)).to_be_visible()


def test_agents_are_moved_with_the_keyboard_and_removed_by_their_menus(page: Page) -> None:
    page.goto("/agents")
    names = page.get_by_label("Name ·")
    expect(names).to_have_count(7)
    page.locator("[class*=st-key-agents_][class*=_on] button").first.focus()
    page.keyboard.press("Enter")
    for index, name in enumerate(["Example", "Direct", "Careful"]):
        expect(names.nth(index)).to_have_value(name)
    menus = page.locator("[class*=st-key-agents_][class*=_menu]:not([class*=_layer_])")
    menus.nth(1).get_by_role("button", name="More").locator("visible=true").click()
    page.get_by_role("menuitem", name="Remove").click()
    for index, name in enumerate(["Example", "Careful"]):
        expect(names.nth(index)).to_have_value(name)


def test_a_question_is_answered_and_its_layers_are_charted(page: Page) -> None:
    shorten_answers(page)
    page.get_by_role("link", name="Chat", exact=True).click()
    page.get_by_test_id("stChatInputTextArea").fill("Why is the sky blue?")
    page.keyboard.press("Enter")
    expect(page.get_by_text("What this run took")).to_be_visible(timeout=FIRST_RUN_MS)
    for words in ("Agent layer 1 of 2", "Agent layer 2 of 2", "Direct", "Example", "Careful", "Summarizer"):
        expect(page.get_by_text(words, exact=True).first).to_be_visible()
    expect(page.get_by_test_id("stDataFrame")).to_be_visible()
    expect(page.locator(".js-plotly-plot .barlayer .point").first).to_be_visible()
    page.get_by_role("link", name="Wafer", exact=True).click()
    expect(page.locator(".js-plotly-plot .barlayer .point").first).to_be_visible()
    page.get_by_role("link", name="Chat", exact=True).click()
    expect(page.get_by_text("Why is the sky blue?", exact=True).first).to_be_visible()
    page.get_by_role("button", name="Save").click()
    with page.expect_download() as started:
        page.get_by_role("button", name="JSON, with every agent's text and times").click()
    saved = json.loads(started.value.path().read_text("utf-8"))
    assert saved["turns"][0]["question"] == "Why is the sky blue?"


def test_a_token_moves_over_the_wafer_until_it_is_paused(page: Page) -> None:
    page.goto("/wafer")
    expect(page.get_by_text("There is no run yet")).to_be_visible(timeout=SLOW_MS)
    page.get_by_role("tab", name="Floorplan").click()
    label = page.get_by_text("transformer layer 0 · ")
    expect(label).to_be_visible(timeout=SLOW_MS)
    page.get_by_text("Play", exact=True).click()
    expect(label).to_be_hidden()
    page.get_by_text("Pause", exact=True).click()
    page.wait_for_timeout(500)
    moved = page.locator(".textpoint text").filter(has_text="transformer layer")
    stopped = moved.last.text_content()
    page.wait_for_timeout(700)
    assert moved.last.text_content() == stopped


def test_stop_ends_the_run_and_keeps_what_was_written(page: Page) -> None:
    page.goto("/chat")
    page.get_by_test_id("stChatInputTextArea").fill("Tell me a very long story.")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Agent layer 1 of 2", exact=True)).to_be_visible(timeout=FIRST_RUN_MS)
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("Stopped", exact=True).first).to_be_visible()
    expect(page.get_by_role("button", name="Edit the question")).to_be_visible()


def shorten_answers(page: Page) -> None:
    """Limit every agent to a few tokens, so that the test is about the way and not about the text."""
    page.goto("/agents")
    limits = page.locator("[class*=_max_tokens] input")
    expect(limits).to_have_count(7)
    for index in range(7):
        limits.nth(index).fill("12")
        limits.nth(index).press("Enter")
    expect(limits.nth(6)).to_have_value("12")
