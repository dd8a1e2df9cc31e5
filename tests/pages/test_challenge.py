"""The Challenge page: brief, checks, the agents' code, the report, the history."""

from __future__ import annotations

import pytest

from grader import challenges, grade
from moa_core import Agent, MoAConfig
from pages.parts.report import points
from tests.pages.harness import App, Cloud, setup

SOLUTION = (
    "Here it is:\n\n```python\ndef calculate_user_metrics(users, start_date, end_date):\n    return {}\n```\n"
)


@pytest.fixture
def challenge(cloud: Cloud, app: App) -> App:
    """The Challenge page; the summarizer always writes the same function."""
    return app.use(setup("say:a draft", summarizer=f"say:{SOLUTION}")).open("challenge")


def test_brief_and_baseline_stand_in_plain_sight(challenge: App) -> None:
    task = challenges()[0]
    assert task.brief.strip() in [element.value for element in challenge.at.markdown]
    assert challenge.at.code[0].value == task.baseline.strip()


def test_every_check_is_listed_with_its_points(challenge: App) -> None:
    table = challenge.at.dataframe[0].value
    assert (len(table), table["points"].sum()) == (11, 120)


def test_what_the_agents_write_is_graded(challenge: App) -> None:
    challenge.click("challenge_go")
    attempt = challenge.session.attempts[0]
    assert attempt.code.strip() == "def calculate_user_metrics(users, start_date, end_date):\n    return {}"
    assert attempt.report is not None
    assert attempt.report["score"] < 30  # a constant result
    shown = {metric.label: metric.value for metric in challenge.at.metric}
    assert shown["Score"].endswith("of 120")
    assert "F" in shown["Letter"]
    assert "Critical bugs" in challenge.text


def test_the_agents_get_brief_and_baseline(challenge: App, cloud: Cloud) -> None:
    challenge.click("challenge_go")
    asked = cloud.requests[0]["messages"][-1]["content"]
    assert challenges()[0].baseline.strip() in asked
    assert challenges()[0].brief.strip() in asked


def test_a_reply_without_the_function_gets_no_points_and_the_reason(challenge: App) -> None:
    challenge.session.draft.summarizer.model = "say:I would rather not."
    challenge.run().click("challenge_go")
    assert "No points this time" in challenge.text
    assert challenge.session.attempts[0].report is None
    assert "I would rather not." in challenge.text


def test_a_failed_run_is_an_attempt_with_its_reason(challenge: App) -> None:
    challenge.session.draft.summarizer.model = "status:404"
    challenge.session.draft.layers.clear()
    challenge.run().click("challenge_go")
    assert "This model is not available here" in challenge.text
    assert challenge.session.attempts[0].turn.state == "failed"


def test_earlier_attempts_stay_and_a_new_one_is_shown_at_once(challenge: App) -> None:
    challenge.click("challenge_go")
    challenge.session.draft.summarizer.model = "say:Nothing."
    challenge.run().click("challenge_go")
    assert "Attempt 2" in challenge.text
    challenge.at.get("segmented_control")[-1].set_value(1)
    assert "Attempt 1" in challenge.run().text
    challenge.click("challenge_go")  # while the first one is looked at
    assert "Attempt 3" in challenge.text
    assert "Attempt 1" not in challenge.text


def test_two_attempts_are_compared_by_setup_and_code(challenge: App) -> None:
    challenge.click("challenge_go")
    challenge.session.draft.summarizer.temperature = 1.25
    challenge.run().click("challenge_go")
    diff = next(block.value for block in challenge.at.code if block.language == "diff")
    assert "+summarizer.temperature: 1.25" in diff
    assert "The same code." in challenge.text


def test_the_baselines_own_score_is_named_and_a_copy_of_it_called_that(challenge: App) -> None:
    task = challenges()[0]
    own = points(grade(task.baseline, task.name).score)
    assert f"It earns {own} of 120 points." in challenge.text
    challenge.session.draft.summarizer.model = f"say:```python\n{task.baseline}\n```"
    challenge.run().click("challenge_go")
    assert "This is a copy of the baseline" in challenge.text


def test_a_model_that_cannot_program_is_named_and_replaced_by_one_that_can(app: App) -> None:
    app.open("challenge")
    assert "it cannot program" in app.text
    app.session.draft.use_model("qwen2.5-coder-0.5b")
    assert "it cannot program" not in app.run().text


def test_an_input_of_ones_own_runs_through_function_and_reference(challenge: App) -> None:
    challenge.click("challenge_go")
    attempt = challenge.session.attempts[0]
    challenge.at.text_area(key=f"challenge_try_{attempt.key}").set_value(
        '{"users": [], "start_date": "2024-01-01", "end_date": "2024-02-01"}'
    )
    challenge.click(f"challenge_try_go_{attempt.key}")
    assert any("active_count" in block.value for block in challenge.at.code[-3:])
    challenge.at.text_area(key=f"challenge_try_{attempt.key}").set_value("{")
    assert "This cannot be tried" in challenge.click(f"challenge_try_go_{attempt.key}").text


def test_agents_may_test_their_work_on_the_public_cases(challenge: App) -> None:
    challenge.session.draft.load(
        MoAConfig(
            summarizer=Agent("Coder", f"say:{SOLUTION}"), strategy="propose-test-repair", options={"n": 1}
        )
    )
    challenge.run().click("challenge_go")
    assert challenge.session.attempts[0].report is not None
    assert any("of the cases it was tried on" in note for note in challenge.session.attempts[0].turn.notes)
