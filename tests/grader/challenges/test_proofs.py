"""Every challenge proves itself by solutions, mutants, baseline and constants, a new one from the start."""

from __future__ import annotations

import importlib
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from grader import challenges
from grader.__main__ import DONE, LESS, USAGE, main
from grader.errors import BadChallenge
from grader.grading import registry
from grader.grading.new_challenge import new_challenge
from grader.grading.proof import MutantSpec, interpreters, mutants_of, prove, solutions_of


@pytest.mark.parametrize("task", challenges(), ids=lambda task: task.name)
def test_challenge_proves_right(task) -> None:
    findings = list(prove(task, elsewhere=False))
    assert len(findings) >= 15
    assert [finding.what for finding in findings if not finding.ok] == []


@pytest.mark.parametrize("name", ["birthdays", "close_pairs", "expiring_cache"])
def test_challenge_has_honest_idioms_beside_its_reference(name: str) -> None:
    task = next(task for task in challenges() if task.name == name)
    assert len(solutions_of(task)) >= 2
    assert len(mutants_of(task)) >= len(task.checks)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, into which new challenges go and in which they are found as well."""
    monkeypatch.setattr("grader.grading.new_challenge.CHALLENGES", tmp_path)
    package = sys.modules["grader.challenges"]
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    importlib.invalidate_caches()
    for cached in (registry._names, registry.challenge):
        cached.cache_clear()
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("grader.challenges.peaks")]:
        del sys.modules[name]
    for cached in (registry._names, registry.challenge):
        cached.cache_clear()


def test_a_new_challenge_runs_and_proves_right(folder: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(
        "grader.grading.proof.interpreters", dict
    )  # they look for challenges in the package only
    assert main(["new", "peaks"]) == DONE
    assert main(["check", "peaks"]) == DONE
    output = capsys.readouterr().out
    assert "FAIL" not in output
    assert "ok   solution.txt gets 100 of 100" in output
    assert output.endswith("peaks: nothing is missing\n")


def test_what_does_not_prove_right_is_named(folder: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr("grader.grading.proof.interpreters", dict)
    place = new_challenge("peaks")
    solution = place / "solution.txt"
    solution.write_text(
        solution.read_text().replace("numbers[place + 1] < number", "numbers[place + 1] <= number")
    )
    assert main(["check", "peaks"]) == LESS
    output = capsys.readouterr().out
    assert "FAIL solution.txt gets" in output
    assert "changes nothing: no solution holds that text" in output
    assert output.endswith("to mend\n")


@pytest.mark.parametrize("name", ["Peaks", "two words", "class", "../peaks", ""])
def test_a_name_that_is_no_functions_is_refused(name: str, folder: Path, capsys) -> None:
    assert main(["new", name]) == USAGE
    assert "its name must be a function's" in capsys.readouterr().err
    assert list(folder.iterdir()) == []


def test_nothing_is_written_over(folder: Path) -> None:
    new_challenge("peaks")
    with pytest.raises(BadChallenge, match="it is there already"):
        new_challenge("peaks")


def test_mutants_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    task = replace(challenges()[0], folder=tmp_path)
    with pytest.raises(BadChallenge, match=r"there is no solution\.txt"):
        solutions_of(task)
    (tmp_path / "mutants.toml").write_text('[[mutant]]\nold = "x"\n')
    with pytest.raises(BadChallenge, match="needs loses, old and new"):
        mutants_of(task)


def test_a_mutant_that_costs_nothing_is_found(monkeypatch) -> None:
    task = challenges()[0]
    harmless = MutantSpec("handles_empty_users_list", "WEIGHTS = {", "WEIGHTS = {}\nWEIGHTS = {")
    monkeypatch.setattr("grader.grading.proof.mutants_of", lambda task: [harmless])
    failed = [finding.what for finding in prove(task, elsewhere=False) if not finding.ok]
    assert len(failed) == 2  # the other checks have no mutant now
    assert failed[1].endswith("leaves handles_empty_users_list 15 of 15")


@pytest.mark.skipif(not interpreters(), reason="no other Python is installed on this machine")
def test_other_pythons_give_the_same_report() -> None:
    task = next(task for task in challenges() if task.name == "birthdays")
    findings = [finding for finding in prove(task) if finding.what.startswith("Python ")]
    assert len(findings) == len(interpreters())
    assert all(finding.ok for finding in findings), findings
