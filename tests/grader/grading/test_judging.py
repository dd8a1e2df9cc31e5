"""What a report says: points, messages, shrinking, and what every challenge promises."""

from pathlib import Path

import pytest

from grader import (
    Report,
    challenge,
    challenges,
    grade,
    letter,
)
from grader.grading.report import CheckResult

SOLUTIONS = Path(__file__).parents[1] / "solutions"


def solution(name):
    return (SOLUTIONS / f"{name}.py").read_text(encoding="utf-8")


HEAPQ = solution("good_heapq")


def check_of(report, name):
    return next(check for check in report.checks if check.name == name)


def test_points_of_the_checks_are_those_of_the_brief():
    points = {check.name: check.points for check in challenge("user_metrics").checks}
    assert points == {
        "handles_division_by_zero": 20,
        "handles_empty_users_list": 15,
        "handles_missing_keys": 15,
        "correct_average_calculation": 15,
        "correct_sorting_direction": 10,
        "handles_no_active_users": 10,
        "doesnt_mutate_input": 8,
        "handles_less_than_5_users": 5,
        "handles_invalid_dates": 5,
        "robust_error_handling": 7,
        "efficient_implementation": 10,
    }


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (120, "A"),
        (108, "A"),
        (107.99, "B"),
        (96, "B"),
        (95.99, "C"),
        (84, "C"),
        (83.9, "D"),
        (72, "D"),
        (71.9, "F"),
    ],
)
def test_letters_change_at_108_96_84_72(score, expected):
    report = Report("user_metrics", 1, (CheckResult("one", "c", score, 120.0, ""),))
    assert report.letter == expected
    assert letter(100 * score / 120) == expected


def test_at_least_200_inputs_are_drawn():
    families = [family for group in challenge("user_metrics").plan(2024).values() for family in group]
    assert sum(each.drawn for family in families if family.weight for each in family.inputs) >= 200


def test_another_seed_draws_other_inputs():
    def drawn(seed):
        families = challenge("user_metrics").plan(seed)["correct_average_calculation"]
        return [each.args for each in families[-1].inputs]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_bad_users_never_hide_behind_the_top_five():
    plan = challenge("user_metrics").plan(2024)
    names = (
        "handles_division_by_zero",
        "handles_missing_keys",
        "handles_invalid_dates",
        "robust_error_handling",
    )
    sizes = {len(each.args[0]) for name in names for family in plan[name] for each in family.inputs}
    assert max(sizes) <= 4


def test_counterexample_is_shrunk_to_the_one_user_that_matters():
    check = check_of(grade(solution("bug_exclusive_end")), "correct_average_calculation")
    case = next(case for case in check.cases if case.status == "failed")
    assert case.input.count("last_login") == 1
    assert "'2024-09-30', 'posts'" in case.input
    assert case.got == "average_engagement 0"
    assert case.expected.startswith("average_engagement 9.66667")  # (7 * 2 + 4 * 1.5 + 90 * 0.1) / 3


def failed_cases(report):
    return [case for check in report.checks for case in check.cases if case.status == "failed"]


def test_every_failed_case_shows_a_small_input_and_its_line():
    report = grade(challenge("user_metrics").baseline)
    cases = failed_cases(report)
    assert len(cases) >= 15
    assert all(case.input and case.got and case.expected for case in cases)
    lines = challenge("user_metrics").baseline.splitlines()
    told = {lines[case.line - 1].strip() for case in cases if case.line}
    assert told == {
        'login = user["last_login"]',
        'points = user["posts"] * 2 + user["comments"] * 1.5 + user["likes"] * 0.1',
        'user["engagement_score"] = points / user["days_active"]',
        '"average_engagement": total / len(users),',
        '"top_performers": active[:5],',
    }


TWO_RETURNS = """def calculate_user_metrics(users, start_date, end_date):
    if not users:
        return {"average_engagement": 0, "top_performers": [], "active_count": 0}
    summary = {}
    mean = len(users)
    summary["average_engagement"] = mean
    summary["top_performers"] = []
    summary["active_count"] = len(users)
    return summary
"""


def test_the_line_is_that_of_the_return_that_was_executed():
    check = check_of(grade(TWO_RETURNS), "correct_average_calculation")
    assert {case.line for case in check.cases} == {5}
    assert "(made in line 5)" in check.message
    order = check_of(grade(TWO_RETURNS), "correct_sorting_direction")
    assert {case.line for case in order.cases} == {7}


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            ("    mean = len(users)", "    mean = 0\n    mean += len(users)"),
            7,
        ),  # assigned twice: where it is used
        (("    return summary", "    return {**summary}"), 9),  # copied: the return is all one can tell
        (("    return summary", "    return dict(average_engagement=mean)"), 5),
        (("    return summary", "    return dict(summary)"), 9),
    ],
)
def test_a_line_is_told_only_without_doubt(change, line):
    check = check_of(grade(TWO_RETURNS.replace(*change)), "correct_average_calculation")
    assert {case.line for case in check.cases} == {line}


def test_message_says_input_result_and_expectation():
    message = check_of(grade(solution("bug_nobody_divides")), "handles_empty_users_list").message
    assert "calculate_user_metrics([], '2024-03-01', '2024-09-30')" in message
    assert "ZeroDivisionError in line 28" in message
    assert "average_engagement 0, top_performers [], active_count 0" in message


def test_missing_key_is_named():
    message = check_of(grade(solution("bug_missing_key_error")), "handles_missing_keys").message
    assert "KeyError for 'posts' in line" in message


def test_what_is_wrong_with_every_field_alike_is_said_once():
    report = grade("def calculate_user_metrics(users, start_date, end_date):\n    return None\n")
    message = check_of(report, "handles_empty_users_list").message
    assert message.count("the result is None, not a dict") == 1
    assert "): the result is None" in message  # the call, then what came of it


def test_messages_fit_a_screen():
    for name in ("junk_echo", "bug_cubic", "bug_everybody_is_top", "bug_robust_types"):
        report = grade(solution(name))
        assert max(len(check.message) for check in report.checks) < 1500
        assert max((len(case.input) for check in report.checks for case in check.cases), default=0) < 500


def test_excused_case_names_the_check_that_charges():
    check = check_of(grade(solution("bug_division_raises")), "handles_missing_keys")
    assert check.passed
    assert "already charged by handles_division_by_zero" in check.message
    assert "excused" in {case.status for case in check.cases}


def test_growth_is_counted_not_timed():
    check = check_of(grade(solution("bug_quadratic_scan_per_user")), "efficient_implementation")
    again = check_of(grade(solution("bug_quadratic_scan_per_user")), "efficient_implementation")
    assert "steps for 500 users, more than" in check.message
    assert check.message == again.message


def test_partial_credit_stays_within_a_third_of_a_failed_check():
    check = check_of(grade(solution("bug_robust_non_dict")), "robust_error_handling")
    assert 0 < check.score <= 7 / 3


def test_unused_import_of_a_forbidden_module_is_only_noted():
    report = grade("import os, sys\n" + solution("good_heapq"))
    assert report.score == 120
    assert report.notes == ("line 1: `import os` is not used and was left out",)


def test_missing_library_is_said_plainly():
    report = grade(
        "import numpy as np\n\n\ndef calculate_user_metrics(users, start_date, end_date):\n    return "
        "np.mean([])\n"
    )
    assert report.score == 0
    assert report.refusal == (
        "loading the source raised ModuleNotFoundError in line 1; only the standard library is available"
    )
    assert "`numpy` is not available here" in report.notes[0]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("", "the submission is empty"),
        ("def other():\n    pass\n", "defines no function `calculate_user_metrics` at its top level"),
        ("def calculate_user_metrics(:\n", "line 1 is not valid Python 3.11: 'def calculate_user_metrics(:'"),
        ("calculate_user_metrics = 5\n", "after loading the source there is no function"),
        (
            "1 / 0\n\n\ndef calculate_user_metrics(a, b, c):\n    pass\n",
            "loading the source raised ZeroDivisionError in line 1",
        ),
    ],
    ids=["empty", "other_name", "syntax", "no_function", "load"],
)
def test_what_cannot_be_run_gets_no_points_and_the_reason(source, reason):
    report = grade(source)
    assert report.score == 0
    assert reason in report.refusal


@pytest.mark.parametrize("task", challenges(), ids=lambda task: task.name)
def test_every_challenge_is_complete(task):
    plan = task.plan(1)
    assert {check.name for check in task.checks} <= set(plan)
    assert task.function_name in task.brief
    assert f"def {task.function_name}(" in task.baseline
    assert len(task.public_cases) >= 5
    assert all(set(case.input) == set(task.parameters) for case in task.public_cases)


@pytest.mark.parametrize(
    ("name", "least", "most"), [("user_metrics", 30, 40), ("free_slots", 20, 60), ("parse_duration", 10, 30)]
)
def test_baseline_gets_some_things_right_and_most_wrong(name, least, most):
    assert least < grade(challenge(name).baseline, challenge=name).score < most


def test_trying_beats_doing_nothing():
    baseline = grade(challenge("user_metrics").baseline).score
    useless = {path.stem: grade(path.read_text()).score for path in SOLUTIONS.glob("junk_*.py")}
    assert len(useless) >= 20
    assert max(useless.values()) < 20 < baseline - 10


RIGHT_BUT = """
def calculate_user_metrics(users, start_date, end_date):
    result = right(users, start_date, end_date)
    {line}
    return result
"""


@pytest.mark.parametrize(
    ("name", "score"),
    [("junk_none", 0), ("junk_pass", 0), ("junk_empty_dict", 0), ("junk_raises", 0), ("junk_text", 0)],
)
def test_what_never_returns_a_result_scores_nothing(name, score):
    report = grade(solution(name))
    assert report.score == score
    assert all(check.score == 0 for check in report.checks)


def test_no_result_for_few_users_never_did_nothing_wrong():
    """Absence checks use small lists: giving up on those must not pay."""
    source = HEAPQ.replace("calculate_user_metrics", "right") + RIGHT_BUT.format(
        line="if len(users) < 5 and users: return None"
    )
    report = grade(source)
    for name in ("handles_division_by_zero", "handles_missing_keys", "robust_error_handling"):
        assert check_of(report, name).score <= 1  # a date that is missing is charged by the dates


def test_a_wrong_count_costs_as_much_as_a_wrong_mean():
    right = HEAPQ.replace("calculate_user_metrics", "right")
    lost = {}
    for field in ("active_count", "average_engagement"):
        report = grade(right + RIGHT_BUT.format(line=f"if users: result[{field!r}] += 1"))
        lost[field] = 15 - check_of(report, "correct_average_calculation").score
    assert lost == {"active_count": 15, "average_engagement": 15}
