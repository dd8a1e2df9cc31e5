"""The Competition page: join, come back, submit, wait for the grade, see where one stands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from grader.competition.codes import ALPHABET
from pages.parts.competition import backend as competition_backend
from pages.parts.competition.view import pace_s
from pages.state.config_diff import config_diff
from tests.pages.competition_fixtures import (
    PASSWORD,
    WRITTEN,
    Browser,
    choose,
    host,
    join,
    open_round,
    store,
    submit_form,
    wait_for_grades,
)
from tests.pages.harness import Cloud


@pytest.fixture(autouse=True)
def _own_database(cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A fresh SQLite file; agents write what the test server says."""
    url = f"sqlite:///{tmp_path / 'competition.sqlite3'}"
    monkeypatch.setenv("COMPETITION_URL", url)
    competition_backend.forget()
    yield
    monkeypatch.setenv("COMPETITION_URL", url)
    store().close()


def metrics(browser: Browser) -> dict[str, str]:
    return {metric.label: metric.value for metric in browser.at.metric}


def test_without_a_round_the_page_waits_for_one() -> None:
    browser = Browser("competition")
    assert "There is no round yet" in browser.text
    open_round(title="Morning")
    assert "Come back from another browser" in browser.look_again().text


def test_a_code_is_shown_once_and_brings_one_back() -> None:
    open_round()
    browser = join("Ada")
    code = browser.at.code[0].value
    assert len(code) == 14
    assert set(code) <= {*ALPHABET, "-"}
    assert "You are **Ada**" in browser.text
    assert code not in browser.click("competition_noted").text
    other = Browser("competition")
    other.at.text_input(key="competition_known_nickname").set_value("ada")
    other.at.text_input(key="competition_typed_code").set_value(code.lower())
    submit_form(other, "Come back")
    assert "You are **Ada**" in other.text


def test_a_lookalike_nickname_is_refused_with_the_reason() -> None:
    open_round()
    join("Anna")
    second = join("Аnna")  # Cyrillic А
    assert "looks too much like Anna" in second.text
    assert [who.nickname for who in store().participants.of_round(1)] == ["Anna"]


def test_what_the_agents_wrote_is_submitted_graded_and_placed() -> None:
    made = open_round(seed=99)
    ada = join("Ada")
    assert "Nothing to submit yet" in ada.text
    ada.write().open("competition").click("competition_submit")
    wait_for_grades()
    ada.look_again()
    stored = store().submissions.of_round(made.id)
    found = store().submissions.provenance(stored[0].id)
    attempt = ada.session.attempts[0]
    assert (found.code.strip(), found.reply) == (WRITTEN, attempt.turn.answer)
    assert (found.seed, found.config) == (attempt.seed, attempt.config)
    assert found.messages == attempt.messages
    assert found.report is not None
    assert found.report["seed"] == 99
    assert metrics(ada)["Place"] == "1 of 1"
    assert stored[0].tokens > 0


def test_a_submission_says_what_it_cost_where_a_price_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    made = open_round()
    ada = join("Ada").write(cost_usd=0.0123).open("competition").click("competition_submit")
    wait_for_grades()
    ada.look_again().write().open("competition").click("competition_submit")
    wait_for_grades()
    assert [each.cost_usd for each in store().submissions.of_round(made.id)] == [0.0123, None]
    names = ada.look_again().at.selectbox(key="competition_shown_report_2_2").options
    assert [", $0.012, " in name for name in names] == [False, True]  # the newest first
    assert metrics(ada)["Spent"] == r"\$0.012"
    monkeypatch.setenv("HOST_PASSWORD", PASSWORD)
    desk = choose(host(), "host_section", "submissions")
    names = desk.at.selectbox(key="host_submission").options
    assert [name.endswith(", $0.012") for name in names] == [False, True]


def test_a_submission_without_a_price_shows_no_cost() -> None:
    open_round()
    ada = join("Ada").write().open("competition").click("competition_submit")
    assert "Spent" not in metrics(ada)


def test_the_same_attempt_cannot_be_submitted_twice() -> None:
    made = open_round()
    ada = join("Ada").write().open("competition").click("competition_submit")
    button = ada.at.button(key="competition_submit")
    assert (button.label, button.disabled) == ("Submitted", True)
    assert len(store().submissions.of_round(made.id)) == 1


def test_the_board_moves_for_everybody() -> None:
    open_round()
    watcher = join("Watcher")
    join("Ada").write().open("competition").click("competition_submit")
    wait_for_grades()
    table = watcher.look_again().at.dataframe[0].value
    assert list(table["name"]) == ["Ada"]


def test_what_changed_between_two_attempts_is_shown_as_a_diff() -> None:
    open_round()
    ada = join("Ada").write().open("competition").click("competition_submit")
    ada.session.draft.cycles = 3
    ada.open("challenge").click("challenge_go")
    ada.open("competition").click("competition_submit")
    wait_for_grades()
    diff = next(code.value for code in ada.look_again().at.code if code.language == "diff")
    assert [line for line in diff.splitlines() if line[0] in "+-"] == ["-cycles: 1", "+cycles: 3"]


def test_a_database_that_fails_keeps_the_attempt_to_be_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is moved away and a folder put in its place, as a lost volume would look like."""
    made = open_round()
    ada = join("Ada").write().open("competition")
    store().close()
    for name in ("competition.sqlite3", "competition.sqlite3-wal", "competition.sqlite3-shm"):
        if (tmp_path / name).exists():
            (tmp_path / name).rename(tmp_path / f"away-{name}")
    (tmp_path / "competition.sqlite3").mkdir()
    ada.click("competition_submit")
    assert "database did not answer" in ada.text
    assert len(ada.session.attempts) == 1
    (tmp_path / "competition.sqlite3").rmdir()
    for file in tmp_path.glob("away-*"):
        file.rename(tmp_path / file.name.removeprefix("away-"))
    ada.look_again().click("competition_submit")
    assert len(store().submissions.of_round(made.id)) == 1


def test_rules_are_said_when_they_refuse() -> None:
    open_round(cooldown_s=600)
    ada = join("Ada").write().open("competition").click("competition_submit")
    ada.open("challenge").click("challenge_go").open("competition").click("competition_submit")
    assert "pause of 600 s between two submissions" in ada.text
    assert "Your attempt is kept" in ada.text


def test_names_are_data_on_every_board() -> None:
    open_round()
    for nickname in ("<b>x</b>", ":red[loud]", "[a](http://b)"):
        join(nickname).write().open("competition").click("competition_submit")
    wait_for_grades()
    watcher = Browser("competition").look_again()
    assert sorted(watcher.at.dataframe[0].value["name"]) == [":red[loud]", "<b>x</b>", "[a](http://b)"]
    assert "http://b)" not in "".join(element.value for element in watcher.at.markdown)


def test_scores_stay_hidden_until_the_end_when_the_host_wants_that() -> None:
    made = open_round(visibility="closed")
    ada = join("Ada").write().open("competition").click("competition_submit")
    wait_for_grades()
    assert "shown when the round is closed" in ada.look_again().text
    assert "My best" not in metrics(ada)
    assert [table for table in ada.at.dataframe if "name" in table.value] == []
    store().rounds.close(made.id)
    assert metrics(ada.look_again())["Place"] == "1 of 1"


def test_hidden_names_and_a_frozen_board() -> None:
    made = open_round()
    join("Ada").write().open("competition").click("competition_submit")
    wait_for_grades()
    store().rounds.hide_names(made.id, True)
    store().rounds.freeze(made.id)
    join("Bob").write().open("competition").click("competition_submit")
    wait_for_grades()
    watcher = Browser("competition").look_again()
    assert list(watcher.at.dataframe[0].value["name"]) == ["Player 1"]
    assert "Frozen since" in watcher.text


def test_a_disqualified_participant_reads_the_reason() -> None:
    open_round()
    ada = join("Ada").write().open("competition")
    store().participants.disqualify(1, "Pasted *by hand*")
    ada.look_again()
    assert "Pasted \\*by hand\\*" in ada.text
    assert [button for button in ada.at.button if button.key == "competition_submit"] == []


def test_a_seat_in_a_deleted_round_is_given_up() -> None:
    made = open_round()
    ada = join("Ada")
    store().rounds.delete(made.id)
    assert "There is no round yet" in ada.look_again().text


def test_a_diff_has_only_the_lines_that_differ() -> None:
    before = '{"a": {"prompt": "One.\\nTwo."}, "n": 1}'
    after = '{"a": {"prompt": "One.\\n2."}, "n": 1}'
    assert config_diff(before, after).splitlines() == ["     One.", "-    Two.", "+    2.", " n: 1"]
    assert config_diff(before, before) == ""


def test_an_unreachable_database_is_said_on_both_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOST_PASSWORD", PASSWORD)
    monkeypatch.setenv("COMPETITION_URL", "postgresql://workshop:not-a-secret@127.0.0.1:1/x")
    for browser in (Browser("competition"), host()):
        assert "database did not answer" in browser.text
        assert "Try again" in [button.label for button in browser.at.button]
        assert "not-a-secret" not in browser.text


def test_what_is_handed_in_after_the_end_is_refused_and_told_by_how_much() -> None:
    """The page was drawn while the round was open; the click comes after its end."""
    made = open_round()
    ada = join("Ada").write().open("competition")
    assert not ada.at.button(key="competition_submit").disabled
    store().rounds.close(made.id)
    ada.click("competition_submit")
    assert "this round is over; the submission came" in ada.text.lower()
    assert "after its end" in ada.text
    assert store().submissions.of_round(made.id) == []


def test_times_of_day_are_the_readers_and_the_countdown_is_the_servers() -> None:
    made = open_round()
    store().rounds.extend(made.id, 600)
    closes = pd.Timestamp(store().rounds.get(made.id).closes_ms, unit="ms", tz="UTC")
    for zone in ("Asia/Kathmandu", "America/St_Johns"):
        browser = Browser("competition")
        browser.at.context["timezone"] = zone
        assert f"open until {closes.tz_convert(zone):%H:%M:%S}" in browser.look_again().text
    minutes, _, seconds = metrics(join("Ada"))["Time left"].partition(":")
    assert 500 <= 60 * int(minutes) + int(seconds) <= 600


def test_a_recap_and_a_certificate_come_when_the_result_is_public() -> None:
    made = open_round()
    ada = join("Ada").write().open("competition").click("competition_submit")
    wait_for_grades()
    assert "competition_certificate" not in downloads(ada.look_again())
    store().rounds.close(made.id)
    assert {"competition_recap", "competition_certificate"} <= downloads(ada.look_again())
    final = store().finals.start(made.id, 1)  # from now on the final ranks
    assert "competition_certificate" not in downloads(ada.look_again())
    assert "Your certificate comes when the host shows the result" in ada.text
    store().finals.cancel(final.id)


def downloads(browser: Browser) -> set[str | None]:
    return {button.key for button in browser.at.get("download_button")}


def test_who_joined_a_team_with_a_nickname_leaves_it_again() -> None:
    made = open_round(team_size=2)
    code = join("Blue").at.code[0].value
    bob = Browser("competition")
    for part, value in (("name", "Blue"), ("code", code), ("mine", " Bob ")):
        bob.at.text_input(key=f"competition_team_{part}").set_value(value)
    submit_form(bob, "Join the team")
    bob.click("competition_leave")
    assert store().participants.members(made.id) == {}
    assert "Come back from another browser" in bob.text


def test_a_large_class_looks_less_often() -> None:
    """At 20 looks a second in all, two hundred people look every ten seconds."""
    assert [pace_s(n) for n in (0, 30, 200)] == [4, 4, 10]
