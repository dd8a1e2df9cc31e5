"""Sign-in on the pages: who is somebody's account, who is a host, and what is said when it is not set up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit as st

from pages.parts.competition import backend as competition_backend
from pages.parts.settings import email_key
from tests.pages.competition_fixtures import Browser, join, open_round, store, submit_form
from tests.pages.harness import App, Cloud

AUTH = {
    "redirect_uri": "http://localhost:8501/oauth2callback",
    "cookie_secret": "not-a-secret-but-long-enough-for-one",
    "client_id": "workshop",
    "client_secret": "none",
    "server_metadata_url": "http://127.0.0.1:1/.well-known/openid-configuration",
}
ISSUER = "https://school.example"
ADA = {"iss": ISSUER, "sub": "1815", "name": "Ada *Lovelace*", "email": "ada@school.example"}
BOB = {**ADA, "sub": "7", "name": "Bob", "email": "bob@school.example", "email_verified": True}


@pytest.fixture(autouse=True)
def _own_database(cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("COMPETITION_URL", f"sqlite:///{tmp_path / 'competition.sqlite3'}")
    monkeypatch.delenv("HOST_PASSWORD", raising=False)
    monkeypatch.setenv("HOST_EMAILS", " Bob@School.example, other@school.example")
    competition_backend.forget()
    yield
    store().close()


def signed_in(page: str, claims: dict[str, Any] | None, auth: dict[str, Any] = AUTH) -> Browser:
    """A browser in which somebody has signed in; None: nobody yet."""
    browser = Browser(page)
    browser.at.secrets["auth"] = auth
    browser.at.user = {"is_logged_in": claims is not None, **(claims or {})}
    return browser.run()


def labels(browser: Browser) -> list[str]:
    return [button.label for button in browser.at.button]


def test_nobody_joins_without_signing_in_and_each_provider_has_a_button() -> None:
    open_round()
    assert "Sign in" in labels(signed_in("competition", None))
    two = {**{key: AUTH[key] for key in ("redirect_uri", "cookie_secret")}, "google": AUTH, "school": AUTH}
    browser = signed_in("competition", None, two)
    assert {"Sign in with Google", "Sign in with School"} <= set(labels(browser))
    assert [field.key for field in browser.at.text_input] == []  # no nickname, no code


def test_an_account_joins_under_its_name_and_is_back_in_another_browser() -> None:
    made = open_round()
    ada = signed_in("competition", ADA).click("competition_enter")
    assert "You are **Ada \\*Lovelace\\***." in ada.text
    assert [who.nickname for who in store().participants.of_round(made.id)] == ["Ada *Lovelace*"]
    assert "You are **Ada" in signed_in("competition", ADA).text
    assert "school.example" not in ada.everything


def test_another_account_in_the_same_browser_does_not_sit_there() -> None:
    open_round()
    browser = signed_in("competition", ADA).click("competition_enter")
    browser.write().open("competition")
    browser.at.user = {"is_logged_in": True, **BOB}
    assert "Join as Bob" in labels(browser.run())
    assert browser.session.seats == {}


def test_an_account_without_a_name_types_one() -> None:
    made = open_round()
    browser = signed_in("competition", {**ADA, "name": "ada@school.example"})
    browser.at.text_input(key="competition_own_name").set_value("Ada")
    browser.click("competition_enter")
    assert [who.nickname for who in store().participants.of_round(made.id)] == ["Ada"]


def test_a_team_is_made_joined_and_left_by_accounts() -> None:
    made = open_round(team_size=2)
    ada = signed_in("competition", ADA)
    ada.at.text_input(key="competition_new_team").set_value("Blue")
    submit_form(ada, "Take part")
    code = ada.at.code[0].value
    assert "the others join your team with it" in ada.text
    bob = signed_in("competition", BOB)
    for part, value in (("name", "Blue"), ("code", code)):
        bob.at.text_input(key=f"competition_team_{part}").set_value(value)
    submit_form(bob, "Join the team")
    assert "You are Bob, of **Blue**. With you: Ada \\*Lovelace\\*." in bob.text
    ada.look_again().click("competition_leave")
    assert "Take part" in labels(ada)
    assert "You are Bob, of **Blue**." in bob.look_again().text
    assert store().participants.of_round(made.id)[0].person == "Bob"


def test_an_entry_of_before_is_taken_over_with_its_code() -> None:
    open_round()
    before = join("Ada")
    code = before.at.code[0].value
    before.at.secrets["auth"] = AUTH
    before.at.user = {"is_logged_in": False}
    assert "Sign in" in labels(before.run())  # the nickname's seat opens nothing any more
    before.at.user = {"is_logged_in": True, **ADA}
    before.run()
    for part, value in (("name", "Ada"), ("code", code)):
        before.at.text_input(key=f"competition_claim_{part}").set_value(value)
    submit_form(before, "It is mine")
    assert "You are **Ada**." in before.text


@pytest.mark.parametrize(
    ("claims", "is_host"),
    [
        (BOB, True),
        ({**BOB, "email": "OTHER@school.example"}, True),
        ({**BOB, "email_verified": "true"}, True),
        ({**BOB, "email_verified": False}, False),
        ({key: value for key, value in BOB.items() if key != "email_verified"}, False),
        ({**BOB, "email": "eve@school.example"}, False),
        ({**BOB, "email": ["bob@school.example"]}, False),
        (None, False),
    ],
    ids=["host", "capitals", "a text", "not verified", "not said", "somebody else", "a list", "nobody"],
)
def test_the_host_page_opens_for_verified_addresses_of_the_list(claims: Any, is_host: bool) -> None:
    browser = signed_in("host", claims)
    assert ("host_leave" in [button.key for button in browser.at.button]) is is_host
    assert "school.example" not in browser.everything


def test_a_host_who_is_taken_off_the_list_is_out(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = signed_in("host", BOB)
    monkeypatch.setenv("HOST_EMAILS", "other@school.example")
    assert "not on the list of hosts" in desk.run().text


def test_the_sign_of_the_kelvin_is_no_k() -> None:
    assert email_key(" Kim@School.example") == "kim@school.example"
    assert email_key("\u212aim@school.example") != "kim@school.example"


def test_without_auth_a_signed_in_visitor_of_the_platform_is_nobody() -> None:
    """Community Cloud tells who is watching a private app; that is no sign-in of ours."""
    open_round()
    browser = Browser("host")
    browser.at.user = {"is_logged_in": True, **BOB}
    assert "host_leave" not in [button.key for button in browser.run().at.button]
    assert "Nickname" in [field.label for field in browser.open("competition").at.text_input]


def test_the_first_page_goes_on_to_the_page_that_somebody_signed_in_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The provider sends the browser to the app's first page, in a new session of Streamlit's."""
    made = open_round()
    left = signed_in("competition", None)
    monkeypatch.setattr(st, "login", lambda provider: None)  # there is no provider: the browser would leave
    left.click("sign_in_competition_default")
    returned = App()
    returned.at.session_state["moa_session"] = left.session
    returned.at.secrets["auth"] = AUTH
    returned.at.user = {"is_logged_in": True, **ADA}
    assert returned.run().at.title[0].value == "Competition"
    assert returned.at.session_state["competition_round"] == made.uid
    assert returned.open("start").at.title[0].value != "Competition"  # once


def test_a_provider_that_is_not_set_up_right_is_said() -> None:
    """What Streamlit finds missing; AppTest's secrets do not reach it, so to it all of [auth] is."""
    open_round()
    browser = signed_in("competition", None).click("sign_in_competition_default")
    assert "Sign-in is not set up right" in browser.text
    assert AUTH["cookie_secret"] not in browser.everything
