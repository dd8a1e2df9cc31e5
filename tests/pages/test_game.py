"""What a host plays with: budgets, teams, practice, announcements, pause, prizes, copies, receipts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from grader.competition import RoundBudget
from moa_core import MoAConfig
from pages.parts.competition import backend as competition_backend
from pages.state.round_budget import check_setup
from tests.pages.competition_fixtures import (
    PASSWORD,
    Browser,
    choose,
    host,
    join,
    open_round,
    store,
    submit_form,
    wait_for_grades,
)
from tests.pages.harness import Cloud, setup


@pytest.fixture(autouse=True)
def _own_database(cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("COMPETITION_URL", f"sqlite:///{tmp_path / 'competition.sqlite3'}")
    monkeypatch.setenv("HOST_PASSWORD", PASSWORD)
    competition_backend.forget()
    yield
    store().close()


def test_a_budget_is_shown_before_a_run_and_holds_at_submission() -> None:
    made = open_round(budget=RoundBudget(calls=1))
    ada = join("Ada")
    assert "at most 1 call" in ada.text
    ada.write()
    for page in ("challenge", "agents"):
        assert "would refuse this setup: 2 calls where 1 are allowed" in ada.open(page).text
    ada.open("competition").click("competition_submit")
    assert "over the round's budget: 2 calls where 1 are allowed" in ada.text
    assert store().submissions.of_round(made.id) == []


def test_a_setup_is_held_against_a_budget_without_running_it() -> None:
    two_calls = setup("say:a", summarizer="say:b")
    assert check_setup(two_calls, RoundBudget(calls=2, models=("say:a", "say:b"))).problems == ()
    assert check_setup(two_calls, RoundBudget(models=("say:a",))).problems == (
        "say:b where only say:a may be used",
    )
    assert "may have" in check_setup(MoAConfig.default(), RoundBudget(tokens=10)).notes[0]
    assert check_setup(two_calls, RoundBudget(calls=5)).uses == (("calls", 2, 5),)


def test_a_rounds_budget_is_a_bar_where_the_setup_is_edited() -> None:
    open_round(title="Monday", budget=RoundBudget(calls=4, tokens=100))
    ada = join("Ada").use(setup("say:a", summarizer="say:b")).open("agents")
    assert "Monday: up to 2 of 4 calls" in ada.everything
    assert "Monday: its answers may have 2,048 tokens where 100 are allowed" in ada.text


def test_a_new_rounds_budget_team_and_practice_are_typed() -> None:
    browser = host()
    browser.at.text_input(key="host_title").set_value("Monday")
    browser.at.number_input(key="host_team").set_value(3)
    browser.at.number_input(key="host_tokens").set_value(2_000)
    browser.at.number_input(key="host_class").set_value(500)
    browser.at.text_input(key="host_models").set_value("a, b")
    browser.at.checkbox(key="host_practice").set_value(True)
    submit_form(browser, "Create")
    (made,) = store().rounds.all()
    assert made.limits == RoundBudget(2_000, models=("a", "b"), classes=(("Under 500 tokens", 500),))
    assert (made.team_size, made.has_practice, made.opens_ms) == (3, True, None)
    assert "practice: it will not count" in Browser("competition").look_again().text


def test_a_second_person_joins_a_team_and_submits_for_it() -> None:
    made = open_round(team_size=2)
    code = join("Blue").at.code[0].value
    bob = Browser("competition")
    for part, value in (("name", "Blue"), ("code", code), ("mine", "Bob")):
        bob.at.text_input(key=f"competition_team_{part}").set_value(value)
    submit_form(bob, "Join the team")
    assert "You are Bob, of **Blue**." in bob.text
    bob.write().open("competition").click("competition_submit")
    assert [each.participant_id for each in store().submissions.of_round(made.id)] == [1]


def test_an_announcement_stands_on_every_page_until_it_is_taken_back() -> None:
    made = open_round()
    desk = choose(host(), "host_section", "game")
    desk.at.text_input(key=f"host_announcement_{made.id}").set_value("Five *minutes*")
    submit_form(desk, "Announce")
    for page in ("chat", "agents", "competition"):
        assert "Five \\*minutes\\*" in Browser(page).look_again().text
    store().rounds.announce(made.id, "")
    assert "minutes" not in Browser("chat").look_again().text


def test_paused_runs_do_not_start_and_say_why() -> None:
    open_round()
    desk = choose(host(), "host_section", "game")
    assert "being written" in desk.text or "No model is loaded" in desk.text
    desk.click("host_pause_runs")
    ada = Browser("challenge").look_again()
    ada.write()
    assert "the host has paused new runs" in ada.text.lower()
    assert ada.session.attempts[0].turn.state == "failed"
    desk.click("host_pause_runs")
    competition_backend.forget()
    ada.click("challenge_go")
    assert ada.session.attempts[1].turn.state == "done"


def test_prizes_are_given_when_the_round_is_over() -> None:
    made = open_round()
    ada = join("Ada").write().open("competition").click("competition_submit")
    wait_for_grades()
    store().rounds.set_prizes(made.id, [("Golden wafer", "best"), ("Final cup", "final")])
    assert "Golden wafer" not in ada.look_again().text
    store().rounds.close(made.id)
    assert "**Golden wafer**: Ada" in ada.look_again().text
    assert "Final cup" not in ada.text  # no final yet


def test_a_round_is_copied_and_deleted_with_a_receipt() -> None:
    made = open_round(title="Morning")
    join("Ada")
    desk = choose(host(), "host_section", "game").click("host_copy")
    assert [each.title for each in store().rounds.all()] == ["Morning, again", "Morning"]
    desk.at.selectbox(key="host_round").set_value(made.id)
    desk.run()
    choose(desk, "host_section", "files").click("host_delete")
    desk.at.text_input(key="host_typed_title").set_value("Morning")
    submit_form(desk, "Delete it")
    assert desk.at.session_state["host_receipt"]["deleted"]["participants"] == 1
    assert "Receipt of the deletion" in [each.label for each in desk.at.get("download_button")]
