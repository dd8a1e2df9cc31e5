"""What the agents are asked, and what an answer does on the public cases."""

from __future__ import annotations

from pathlib import Path

import pytest

from grader import UnknownChallenge, challenge, challenges, grade, task_messages, try_public_cases

SOLUTIONS = Path(__file__).parents[1] / "solutions"


def source(name: str) -> str:
    return (SOLUTIONS / f"{name}.py").read_text(encoding="utf-8")


def test_the_task_is_one_question_with_brief_and_baseline() -> None:
    (message,) = task_messages("parse_duration")
    task = challenge("parse_duration")
    assert message["role"] == "user"
    assert task.brief.strip() in message["content"]
    assert task.baseline.strip() in message["content"]


def test_an_unknown_task_is_refused_by_name() -> None:
    with pytest.raises(UnknownChallenge, match="no_such"):
        task_messages("no_such")


@pytest.mark.parametrize("name", ["good_heapq", "good_statistics"])
def test_a_correct_reply_passes_every_public_case(name: str) -> None:
    tried = try_public_cases(f"Here:\n\n```python\n{source(name)}\n```\n")
    assert (tried.share, tried.feedback) == (1.0, "")


def test_a_bug_is_named_with_its_input() -> None:
    tried = try_public_cases(source("bug_top_three"))
    assert 0.5 < tried.share < 1.0
    assert tried.feedback.startswith("- ")
    assert "- correct_sorting_direction: a fixed list: calculate_user_metrics([" in tried.feedback


def test_doing_nothing_passes_less_than_a_bug() -> None:
    assert try_public_cases(source("junk_pass")).share < try_public_cases(source("bug_top_three")).share / 2


def test_what_cannot_run_passes_nothing_and_says_why() -> None:
    tried = try_public_cases(source("junk_syntax_error"))
    assert tried.share == 0.0
    assert "line 2 is not valid Python" in tried.feedback


@pytest.mark.parametrize("task", challenges(), ids=lambda task: task.name)
def test_every_challenge_tells_its_baseline_from_a_solution(task) -> None:
    assert 0.0 <= try_public_cases(task.baseline, task).share < 1.0


def test_hidden_cases_are_neither_tried_nor_told() -> None:
    slow = source("bug_quadratic_rank")
    assert grade(slow).score < 120  # work is counted on hidden cases only
    assert try_public_cases(slow).share == 1.0
