"""A report as data: JSON and back, what is none, and what it names."""

import json
from pathlib import Path

import pytest

from grader import BadReport, Report, UnknownChallenge, grade
from grader.grading.report import CaseResult

SOLUTIONS = Path(__file__).parents[1] / "solutions"


def solution(name):
    return (SOLUTIONS / f"{name}.py").read_text(encoding="utf-8")


def test_report_survives_json():
    report = grade(solution("bug_ascending"))
    again = Report.from_dict(json.loads(json.dumps(report.to_dict())))
    assert again == report
    assert again.to_dict() == report.to_dict()


@pytest.mark.parametrize(
    "data", [{}, {"challenge": "x", "seed": "y", "checks": []}, {"challenge": 1, "seed": 1, "checks": [3]}]
)
def test_other_data_is_no_report(data):
    with pytest.raises(BadReport):
        Report.from_dict(data)


def test_report_names_its_isolation():
    assert "audit hook" in grade(solution("good_heapq")).to_dict()["sandbox"]


def test_unknown_challenge_lists_the_known_ones():
    with pytest.raises(UnknownChallenge, match="user_metrics") as caught:
        grade("x = 1", challenge="nope")
    assert caught.value.name == "nope"
    assert caught.value.known[0] == "user_metrics"


def test_case_result_of_a_passed_case_is_empty():
    report = grade(solution("good_heapq"))
    assert {case.status for check in report.checks for case in check.cases} == {"passed"}
    assert CaseResult("x", "passed", 1).input == ""
