"""Labelled solutions: the first line of each says what it must get.

`full`, `exactly=N`, `below=N`, or `zero=CHECK`: that check pays at most a third, and every check not named
(`zero=` or `touches=`) pays in full. One bug is charged once.
"""

from pathlib import Path

import pytest

from grader import grade

SOLUTIONS = sorted((Path(__file__).parents[1] / "solutions").glob("*.py"))


def label(path: Path) -> list[str]:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    return [word.strip() for word in first.removeprefix("# expect:").split(",")]


def having(prefix: str) -> list[pytest.param]:
    found = [path for path in SOLUTIONS if any(word.startswith(prefix) for word in label(path))]
    assert found
    return [pytest.param(path, id=path.stem) for path in found]


@pytest.mark.parametrize("path", having("full"))
def test_every_correct_idiom_gets_full_marks(path):
    report = grade(path.read_text(encoding="utf-8"))
    assert [(check.name, check.message) for check in report.checks if not check.passed] == []
    assert report.score == 120


@pytest.mark.parametrize("path", having("zero="))
def test_one_bug_costs_its_check_and_no_other(path):
    words = label(path)
    zeroed = {word.removeprefix("zero=") for word in words if word.startswith("zero=")}
    touched = {word.removeprefix("touches=") for word in words if word.startswith("touches=")}
    report = grade(path.read_text(encoding="utf-8"))
    checks = {check.name: check for check in report.checks}
    assert {name for name in zeroed if checks[name].score * 3 > checks[name].max_score} == set()
    assert {name for name, check in checks.items() if not check.passed} <= zeroed | touched
    assert report.score >= 80


@pytest.mark.parametrize("path", having("below="))
def test_useless_functions_earn_little(path):
    limit = next(float(word.removeprefix("below=")) for word in label(path) if word.startswith("below="))
    assert grade(path.read_text(encoding="utf-8")).score < limit


@pytest.mark.parametrize("path", having("exactly="))
def test_exact_scores(path):
    score = next(float(word.removeprefix("exactly=")) for word in label(path) if word.startswith("exactly="))
    assert grade(path.read_text(encoding="utf-8")).score == score


@pytest.mark.parametrize("seed", [1, 7, 123_456_789])
def test_labels_hold_for_other_seeds(seed):
    folder = Path(__file__).parents[1] / "solutions"
    full = grade((folder / "good_heapq.py").read_text(), seed=seed)
    bug = grade((folder / "bug_exclusive_end.py").read_text(), seed=seed)
    junk = grade((folder / "junk_echo.py").read_text(), seed=seed)
    assert full.score == 120
    assert [check.name for check in bug.checks if not check.passed] == ["correct_average_calculation"]
    assert junk.score < 30
