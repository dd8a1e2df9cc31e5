"""An input of a student's own, through the submission and the reference."""

from __future__ import annotations

import re

import pytest

from grader import challenge, try_input

TASK = challenge("user_metrics")
EMPTY = {"users": [], "start_date": "2024-01-01", "end_date": "2024-12-31"}
SAME = "def calculate_user_metrics(users, start_date, end_date):\n    return {}\n"


def test_a_submission_that_is_right_on_it_agrees() -> None:
    source = SAME.replace("{}", '{"average_engagement": 0, "top_performers": [], "active_count": 0}')
    assert try_input(source, TASK, EMPTY).agrees


def test_a_wrong_answer_stands_beside_the_right_one() -> None:
    found = try_input(SAME, TASK, EMPTY)
    assert (found.got, found.expected["active_count"], found.agrees) == ({}, 0, False)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise KeyError('x')", "KeyError"),
        ("while True: pass", "steps|time"),
        ("return open('x')", "refused"),
    ],
)
def test_a_call_that_returns_nothing_says_why(body: str, said: str) -> None:
    assert re.search(said, try_input(SAME.replace("return {}", body), TASK, EMPTY).problem)


@pytest.mark.parametrize("named", [{}, EMPTY | {"more": 1}, EMPTY | {"users": ["x" * 60_000]}])
def test_an_input_of_another_shape_is_refused(named: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"needs exactly|at most"):
        try_input(SAME, TASK, named)


def test_what_the_reference_does_not_take_is_said() -> None:
    found = try_input(SAME, TASK, EMPTY | {"users": 7})
    assert "reference does not take this input" in found.reference_problem
