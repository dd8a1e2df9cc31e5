"""The final on the pages: picked, started, run by real agents, released, exported."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from grader.competition.final_export import final_to_json
from pages.parts.competition import backend as competition_backend
from tests.pages.competition_fixtures import (
    PASSWORD,
    WRITTEN,
    Browser,
    choose,
    host,
    join,
    open_round,
    store,
    wait_for_grades,
)
from tests.pages.harness import Cloud


@pytest.fixture(autouse=True)
def _own_database(cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("COMPETITION_URL", f"sqlite:///{tmp_path / 'competition.sqlite3'}")
    monkeypatch.setenv("HOST_PASSWORD", PASSWORD)
    competition_backend.forget()
    yield
    competition_backend.final_runner().close()
    store().close()


def submitted(nickname: str) -> Browser:
    browser = join(nickname).write().open("competition").click("competition_submit")
    wait_for_grades()
    return browser


def test_a_final_is_started_run_by_the_agents_and_released() -> None:
    made = open_round()
    ada = submitted("Ada")
    desk = choose(host(), "host_section", "final")
    assert desk.at.button(key="host_final_start").disabled  # the round is open
    store().rounds.close(made.id)
    desk = desk.look_again()
    assert "1 setup, 5 runs" in desk.text
    desk.at.number_input(key="host_final_seeds").set_value(2)
    desk.run()
    assert "The final is running." in desk.click("host_final_start").text
    assert competition_backend.final_runner().wait_idle(60)
    desk.look_again()
    (final,) = store().finals.of_round(made.id)
    assert final.state == "done"
    (line,) = store().final_boards.standings(final.id)
    assert (line.nickname, len(line.scores), line.n_failed) == ("Ada", 2, 0)
    assert "The host shows the standings when it is time" in ada.look_again().text
    assert "mean" not in [name for table in ada.at.dataframe for name in table.value]
    desk.click("host_final_release")
    table = next(t.value for t in ada.look_again().at.dataframe if "mean" in t.value)
    assert list(table["name"]) == ["Ada (you)"]
    exported = json.loads(final_to_json(store(), final.id))
    assert [run["seed"] for run in exported["runs"]] == list(final.seeds)
    assert WRITTEN in exported["runs"][0]["reply"]
    assert PASSWORD not in json.dumps(exported)


def test_a_setup_that_fails_in_the_final_says_why_and_holds_nobody_up(cloud: Cloud) -> None:
    from tests.pages.harness import setup

    made = open_round()
    submitted("Ada")
    broken = setup("status:400", summarizer="say:x").to_json()
    stored = store().submissions.of_round(made.id)[0]
    bob = store().participants.join(made.id, "Bob")[0]
    from tests.grader.competition.samples import generation, job, report

    other = store().submissions.add(bob.id, generation("b", config=broken))
    store().submissions.add_grade(job(store(), other), report(50), 0.1)
    store().rounds.close(made.id)
    final = store().finals.start(made.id, 1)
    competition_backend.final_runner().wake()
    assert competition_backend.final_runner().wait_idle(60)
    lines = store().final_boards.standings(final.id)
    assert [(line.nickname, line.n_failed) for line in lines] == [("Ada", 0), ("Bob", 1)]
    assert stored.id == lines[0].submission_id


def test_cancelling_a_final_is_said_and_stays_said() -> None:
    made = open_round()
    submitted("Ada")
    store().rounds.close(made.id)
    store().finals.start(made.id)
    assert store().finals.take_lease(1, "another process", 60) == "running"
    desk = choose(host(), "host_section", "final").look_again()
    assert "The final is cancelled." in desk.click("host_final_cancel").text


def test_the_wall_says_how_far_a_final_is_in_its_own_size() -> None:
    made = open_round()
    submitted("Ada")
    store().rounds.close(made.id)
    started = store().finals.start(made.id, 3)
    store().finals.take_lease(started.id, "another process", 60)
    wall = choose(host(), "host_view", "projector").look_again()
    drawn = [json.loads(each.proto.json) for each in wall.at.get("bidi_component") if each.proto.json]
    assert [each["hint"] for each in drawn if "podium" in each] == ["Final running: 0 of 3 runs"]


def test_two_submissions_can_be_picked() -> None:
    open_round()
    ada = submitted("Ada")
    ada.open("challenge").click("challenge_go")
    ada.open("competition").click("competition_submit")
    wait_for_grades()
    ada.look_again()
    who = store().participants.of_round(1)[0]
    key = f"competition_picks_{who.id}"
    ids = [each.id for each in store().submissions.of_participant(who.id)]
    ada.at.multiselect(key=key).set_value([ids[1]])
    ada.run()
    assert store().finals.picks(who.id) == [ids[1]]
    store().rounds.close(1)
    started = store().finals.start(1, 1)
    assert key not in [each.key for each in ada.look_again().at.multiselect]
    store().finals.cancel(started.id)
    assert key in [each.key for each in ada.look_again().at.multiselect]
