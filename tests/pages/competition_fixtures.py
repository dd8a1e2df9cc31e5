"""The competition's pages on a database of their own, and who uses them."""

from __future__ import annotations

import time
from typing import Any

from grader.competition import GradingQueue, Round, Store
from pages.parts.competition import backend as competition_backend
from tests.pages.harness import App, setup

PASSWORD = "a-long-host-password"
WRITTEN = (
    "def calculate_user_metrics(users, start_date, end_date):\n"
    '    return {"average_engagement": 0, "top_performers": [], "active_count": 0}'
)  # a constant result earns a little
REPLY = f"Here it is:\n\n```python\n{WRITTEN}\n```\n"
GRADE_LIMIT_S = 60


class Browser(App):
    """One browser session; several of them share the app."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open(page)

    def run(self) -> Browser:
        """Run the page once; nothing may be raised."""
        super().run()
        return self

    def open(self, page: str) -> Browser:
        """Go to a page by its file's name."""
        super().open(page)
        return self

    def click(self, key: str) -> Browser:
        """Click the button with this key."""
        super().click(key)
        return self

    def look_again(self) -> Browser:
        """The page as it is a moment later, when what is kept for a second has gone."""
        competition_backend.forget()
        return self.run()

    def write(self, reply: str = REPLY, cost_usd: float | None = None) -> Browser:
        """Let the agents write an answer to the challenge; it is graded for practice.

        cost_usd: what the server says that the answer cost; None: nothing.
        """
        kind = "say" if cost_usd is None else f"priced:{cost_usd}"
        self.use(setup("say:a draft", summarizer=f"{kind}:{reply}"))
        return self.open("challenge").click("challenge_go")


def store() -> Store:
    return competition_backend.store()


def grading_queue() -> GradingQueue:
    return competition_backend.grading_queue()


def open_round(**rules: object) -> Round:
    made = store().rounds.create(str(rules.pop("title", "Morning")), "user_metrics", **rules)  # type: ignore[arg-type]
    return store().rounds.open(made.id)


def join(nickname: str) -> Browser:
    """A browser in which somebody has joined the only round."""
    browser = Browser("competition")
    browser.at.text_input(key="competition_nickname").set_value(nickname)
    submit_form(browser, "Join the round")
    return browser


def submit_form(browser: App, label: str) -> None:
    next(button for button in browser.at.button if button.label == label).click()
    browser.run()


def wait_for_grades() -> None:
    deadline = time.monotonic() + GRADE_LIMIT_S
    while store().submissions.waiting() and time.monotonic() < deadline:
        assert grading_queue().wait(GRADE_LIMIT_S)
    assert store().submissions.waiting() == []


def host(password: str = PASSWORD) -> Browser:
    """A browser on the Host page in which a password was typed."""
    browser = Browser("host")
    browser.at.text_input(key="host_password").set_value(password)
    submit_form(browser, "Enter")
    return browser


def choose(browser: Browser, key: str, name: str) -> Browser:
    """Choose a part of a segmented control."""
    control: Any = next(c for c in browser.at.get("segmented_control") if c.key == key)
    control.set_value(name)
    return browser.run()
