"""The Host page: the gate, and everything a host can do to a round."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from grader import challenge
from grader.competition import Generation, backup, now_ms, restore, sources
from grader.grading.preview import drawn_cases
from moa_core import Agent, MoAConfig, run_sync
from moa_core.config.values import Layer
from pages.parts import backend
from pages.parts.competition import backend as competition_backend
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
from tests.pages.harness import Cloud

HOST_KEY = "fJ2xQ8vRk1ZtYw6sBn4mLc7pHd9gAe3u"


@pytest.fixture(autouse=True)
def _own_database(cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A fresh SQLite file, a password, and no wrong password yet."""
    monkeypatch.setenv("COMPETITION_URL", f"sqlite:///{tmp_path / 'competition.sqlite3'}")
    monkeypatch.setenv("HOST_PASSWORD", PASSWORD)
    competition_backend.forget()
    competition_backend.password_limiter.clear()
    yield
    competition_backend.password_limiter.clear()
    store().close()


def is_open(browser: Browser) -> bool:
    return any(button.key == "host_leave" for button in browser.at.button)


def test_without_a_password_the_page_says_how_to_set_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOST_PASSWORD")
    browser = Browser("host")
    assert "HOST_PASSWORD" in "".join(block.value for block in browser.at.info)
    assert [line.split(" = ")[0] for line in browser.at.code[0].value.splitlines()] == [
        "HOST_PASSWORD",
        "HOST_KEY",
    ]
    assert not is_open(browser)
    assert [field.key for field in browser.at.text_input] == []


def test_only_the_password_opens_the_page() -> None:
    wrong = host("a-long-host-passwore")
    assert not is_open(wrong)
    assert "This is not the password." in wrong.text
    assert is_open(host())


def test_a_session_that_guesses_waits_and_the_host_does_not() -> None:
    guesser = host("guess")
    for _ in range(4):
        guesser.at.text_input(key="host_password").set_value("guess")
        submit_form(guesser, "Enter")
    assert "Too many wrong passwords" in guesser.text
    guesser.at.text_input(key="host_password").set_value(PASSWORD)
    submit_form(guesser, "Enter")
    assert not is_open(guesser)
    assert is_open(host())


def test_a_host_who_is_in_stays_in_while_somebody_guesses() -> None:
    inside = host()
    limiter = competition_backend.password_limiter()
    for number in range(25):  # a new session each time: the address they share has to wait
        limiter.attempt(lambda: False, *sources(f"guesser {number}", None, "", PASSWORD))
    late = host()
    assert "Too many wrong passwords" in late.text
    assert is_open(inside.run())


def test_a_guesser_at_the_same_address_cannot_shut_out_a_new_browser_that_has_the_host_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOST_KEY", HOST_KEY)
    limiter = competition_backend.password_limiter()
    for number in range(60):
        limiter.attempt(lambda: False, *sources(f"guesser {number}", None, "", PASSWORD))
    late = host()
    assert not is_open(late)
    assert "The host key opens this page at once" in late.text
    late.at.text_input(key="host_password").set_value(HOST_KEY[:-1])
    submit_form(late, "Enter")
    assert not is_open(late)
    late.at.text_input(key="host_password").set_value(HOST_KEY)
    submit_form(late, "Enter")
    assert is_open(late)
    assert HOST_KEY not in late.text + str(vars(late.at.session_state["moa_session"]))
    monkeypatch.setenv("HOST_KEY", HOST_KEY[::-1])  # another key closes what this one opened
    assert not is_open(late.look_again())


def test_a_host_key_that_could_be_guessed_opens_nothing_and_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOST_KEY", "open sesame")
    browser = host("open sesame")
    assert not is_open(browser)
    assert "HOST_KEY is not used" in browser.text
    assert "It has 11 characters" in browser.text
    assert "HOST_KEY is not used" in host().text


@pytest.mark.parametrize("column", ["challenge", "visibility"])
def test_a_round_that_cannot_be_played_here_says_so_and_can_be_deleted(column: str) -> None:
    made = open_round(title="Old")
    with store().database.writing() as connection:
        connection.exec_driver_sql(f"UPDATE rounds SET {column} = 'gone' WHERE id = {made.id}")
    competition_backend.forget()
    assert "cannot be played here" in Browser("competition").text
    browser = host()
    assert "cannot be played here" in choose(browser, "host_view", "projector").text
    browser = choose(browser, "host_view", "desk").click("host_delete")
    browser.at.text_input(key="host_typed_title").set_value("Old")
    submit_form(browser, "Delete it")
    assert store().rounds.all() == []


def test_leaving_and_another_password_close_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_open(host().click("host_leave"))
    browser = host()
    monkeypatch.setenv("HOST_PASSWORD", "another")
    assert not is_open(browser.look_again())


def test_the_password_is_nowhere_to_be_seen(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    open_round()
    browser = host()
    state = vars(browser.at.session_state["moa_session"]), browser.at.session_state["host_opened"]
    typed = [field.value for field in browser.at.text_input]
    shown = browser.text + str(state) + str(typed) + caplog.text
    files = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.is_file())
    assert PASSWORD not in shown
    assert PASSWORD.encode() not in files + backup(store(), 1)


def test_a_round_is_created_opened_and_closed() -> None:
    browser = host()
    browser.at.text_input(key="host_title").set_value("Monday <i>")
    browser.at.number_input(key="host_minutes").set_value(30)
    browser.at.number_input(key="host_limit").set_value(5)
    browser.at.text_input(key="host_seed").set_value("77")
    submit_form(browser, "Create and open")
    made = store().rounds.all()[0]
    assert (made.title, made.submission_limit, made.seed) == ("Monday <i>", 5, 77)
    assert made.closes_ms is not None
    assert made.opens_ms is not None
    assert made.closes_ms - made.opens_ms == 30 * 60_000
    browser.click("host_extend_5").click("host_close")
    assert store().rounds.get(made.id).state(now_ms()) == "closed"
    browser.click("host_open")
    assert store().rounds.get(made.id).state(now_ms()) == "open"


def test_a_title_that_is_missing_is_said() -> None:
    browser = host()
    submit_form(browser, "Create and open")
    assert "title has 1 to 80 characters" in browser.text
    assert store().rounds.all() == []


def test_freezing_hiding_and_visibility() -> None:
    made = open_round()
    browser = host().click("host_freeze").click("host_names")
    browser.at.selectbox(key=f"host_visibility_{made.id}").set_value("own")
    browser.run()
    found = store().rounds.get(made.id)
    assert (found.frozen_ms is not None, found.has_hidden_names, found.visibility) == (True, True, "own")
    browser.click("host_unfreeze").click("host_names")
    found = store().rounds.get(made.id)
    assert (found.frozen_ms, found.has_hidden_names) == (None, False)


def test_a_participant_is_disqualified_with_a_reason_and_reinstated() -> None:
    open_round()
    join("Ada")
    browser = section(host(), "participants")
    browser.click("host_disqualify")
    assert "has a reason" in browser.text
    browser.at.text_input(key="host_reason_1").set_value("Pasted")
    browser.click("host_disqualify")
    assert store().participants.get(1).disqualified_reason == "Pasted"
    browser.click("host_reinstate")
    assert not store().participants.get(1).is_disqualified


def test_a_lost_code_is_issued_again_and_shown_once() -> None:
    made = open_round()
    join("Ada")
    browser = section(host(), "participants").click("host_new_code")
    code = next(block.value for block in browser.at.code if len(block.value) == 14)
    assert store().participants.come_back(made.id, "Ada", code).nickname == "Ada"
    assert code not in browser.look_again().text


def test_a_seat_of_a_restored_round_is_given_up_and_taken_again() -> None:
    made = open_round()
    ada = join("Ada")
    file = backup(store(), made.id)
    store().rounds.delete(made.id)
    restore(store(), file)
    assert "Come back from another browser" in ada.look_again().text


def section(browser: Browser, name: str) -> Browser:
    return choose(browser, "host_section", name)


def test_a_regrade_adds_grades_and_keeps_the_old_ones() -> None:
    made = open_round()
    join("Ada").write().open("competition").click("competition_submit")
    wait_for_grades()
    before = store().submissions.of_round(made.id)[0].grade_id
    section(host(), "submissions").click("host_regrade")
    assert competition_backend.grading_queue().wait(60)
    after = store().submissions.of_round(made.id)[0].grade_id
    assert before is not None
    assert after == before + 1


def test_what_the_host_changed_is_said_and_stays_said() -> None:
    open_round()
    browser = host()
    assert "The round is closed." in browser.click("host_close").text
    assert "The round is open." in browser.click("host_open").text


def test_a_deletion_takes_the_rounds_title() -> None:
    made = open_round(title="Morning")
    browser = section(host(), "files").click("host_delete")
    browser.at.text_input(key="host_typed_title").set_value("Evening")
    submit_form(browser, "Delete it")
    assert [each.id for each in store().rounds.all()] == [made.id]
    browser.at.text_input(key="host_typed_title").set_value("Morning")
    submit_form(browser, "Delete it")
    assert store().rounds.all() == []


def test_the_projector_shows_podium_distribution_and_countdown() -> None:
    made = open_round()
    store().rounds.extend(made.id, 600)
    join("Ada").write().open("competition").click("competition_submit")
    wait_for_grades()
    browser = choose(host(), "host_view", "projector").look_again()
    components = browser.at.get("bidi_component")
    drawn = [json.loads(each.proto.json) for each in components if each.proto.json]
    (data,) = [each for each in drawn if "podium" in each]
    assert (data["title"], data["said"]) == ("Morning", "User metrics · Open · 1 participant · 1 submission")
    assert [(line["place"], line["name"]) for line in data["podium"]] == [("1", "Ada")]
    assert 590_000 < data["left_ms"] <= 600_000
    assert len(browser.at.get("plotly_chart")) == 1


def test_the_wall_begins_with_the_board_and_shows_an_announcement_in_its_own_size() -> None:
    made = open_round()
    store().rounds.announce(made.id, "Ten minutes left")
    browser = choose(host(), "host_view", "projector").look_again()
    kinds = [each.type for each in browser.at.main]
    assert browser.at.info == [] or "Ten minutes left" not in [each.value for each in browser.at.info]
    (data,) = [
        drawn
        for each in browser.at.get("bidi_component")
        if each.proto.json and "podium" in (drawn := json.loads(each.proto.json))
    ]
    assert data["news"] == "Ten minutes left"
    assert kinds.index("button_group") > max(i for i, kind in enumerate(kinds) if kind == "bidi_component")
    browser = choose(browser, "host_view", "desk")
    assert "Ten minutes left" in browser.text


def test_community_clouds_disk_is_warned_about(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(competition_backend, "COMMUNITY_CLOUD_FOLDER", f"{competition_backend.ROOT}/")
    assert "does not survive a restart" in host().text


def test_the_secrets_name_the_database(tmp_path: Path) -> None:
    browser = host()
    browser.at.secrets["connections"] = {
        "competition": {"url": f"sqlite:///{tmp_path / 'elsewhere.sqlite3'}"}
    }
    assert "SQLite file elsewhere.sqlite3" in browser.run().text.replace("\\", "")
    assert (tmp_path / "elsewhere.sqlite3").exists()


def test_a_cloud_generation_is_not_offered_for_replay() -> None:
    open_round()
    join("Ada").write().open("competition").click("competition_submit")
    wait_for_grades()
    assert section(host(), "submissions").at.button(key="host_replay").disabled


@pytest.mark.usefixtures("smollm2_path")
@pytest.mark.parametrize("seed", [11, 12], ids=["its own seed", "another seed"])
def test_a_generation_of_real_weights_is_replayed_to_the_same_text(seed: int) -> None:
    """Made with seed 11; a submission that claims another seed is found out."""
    made = open_round()
    agent = Agent("Solo", "smollm2-135m", "Write Python.", 0.8, 24)
    config = MoAConfig(layers=(Layer((agent,)),), summarizer=agent)
    reply = in_process_answer(config, 11)
    ada = store().participants.join(made.id, "Ada")[0]
    messages = [{"role": "user", "content": "Write a function."}]
    code = "def f(): ..."
    store().submissions.add(
        ada.id,
        Generation("k", config.to_json(), messages, seed, "wafer", ("smollm2-135m",), reply, code, 48, 1.0),
    )
    browser = section(host(), "submissions").click("host_replay")
    assert ("The replay wrote the same text" in "".join(b.value for b in browser.at.success)) is (seed == 11)
    assert ("Not the same text" in browser.text) is (seed == 12)


def in_process_answer(config: MoAConfig, seed: int) -> str:
    from dataclasses import replace

    from moa_core import RunFinished, run_sync
    from pages.parts import backend

    messages = [{"role": "user", "content": "Write a function."}]
    last = list(run_sync(replace(config, seed=seed), messages, backend.providers()))[-1]
    assert isinstance(last, RunFinished)
    return last.answer


def test_the_host_sees_what_is_left_of_the_keys_allowances() -> None:
    config = MoAConfig(summarizer=Agent("s", "limits:900", provider="cerebras"))
    list(run_sync(config, "hi", backend.providers()))
    assert "limits:900: left are 0 requests of the minute" in host().text.replace("\\", "")


def test_a_host_previews_a_challenge_and_its_hidden_cases() -> None:
    browser = host()
    assert "host_preview_challenge" not in {box.key for box in browser.at.selectbox}
    open_preview(browser)
    pick(browser, "host_preview_challenge", "expiring_cache")
    pick(browser, "host_preview_check_expiring_cache", "get_is_a_use")
    shown = [block.value for block in browser.at.code]
    assert challenge("expiring_cache").baseline.strip() in shown
    first = drawn_cases(challenge("expiring_cache"), "get_is_a_use", 2024)[0]
    assert [json.loads(text) for text in shown[1:3]] == [first.input, first.expected]


def test_a_host_sees_a_challenge_prove_right() -> None:
    browser = host()
    open_preview(browser)
    pick(browser, "host_preview_challenge", "parse_duration")
    browser.click("host_preview_prove")
    assert "It proves right" in {status.label for status in browser.at.status}
    assert "Every check has a mutant" in browser.text


def open_preview(browser: Browser) -> None:
    browser.at.session_state["host_preview"] = True
    browser.run()


def pick(browser: Browser, key: str, name: str) -> None:
    browser.at.selectbox(key=key).set_value(name)
    browser.run()


def test_the_host_is_told_which_settings_add_a_model_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CEREBRAS_API_KEY")
    browser = host()
    assert "None: all models run in this app." in browser.text
    (table,) = [frame.value for frame in browser.at.dataframe if "added_by" in frame.value]
    rows = table.set_index("server")
    assert rows.loc["Cerebras cloud", "added_by"] == "CEREBRAS_API_KEY"
    assert list(rows.loc["LM Studio"]) == [
        "http://127.0.0.1:1234/v1", "LM_STUDIO_BASE_URL", "LM_STUDIO_API_KEY",
    ]  # fmt: skip
