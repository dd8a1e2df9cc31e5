"""Proving a challenge: its solutions, mutants, baseline and constants are graded, on every Python there is.

A challenge's folder holds what the proof needs: `solution.txt` (and more correct ones as `solution_*.txt`),
and `mutants.toml`, a list of small bugs. Each `[[mutant]]` has `old` and `new`, texts of a solution, and
`loses`, the check that must lose more than half of its points.
"""

from __future__ import annotations

import glob
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from grader.errors import BadChallenge
from grader.grading.challenge import Challenge
from grader.grading.files import read_text
from grader.grading.grade import grade
from grader.grading.report import Report

VERSIONS = ("3.11", "3.12", "3.13", "3.14")
MOST_BASELINE, MOST_CONSTANT = 60.0, 25.0
"""Percent that the baseline, and a function that returns a constant, may get at most."""

CONSTANTS = ("None", "0", "1", "''", "[]", "{}", "True", "(args or [None])[0]")
_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class ProofLine:
    """One thing that was tried. ok: as it must be; what: in one sentence."""

    ok: bool
    what: str


@dataclass(frozen=True)
class MutantSpec:
    """A small bug: `new` in place of `old` in the solution; loses: the check it must cost."""

    loses: str
    old: str
    new: str


def solutions_of(task: Challenge) -> dict[str, str]:
    """The correct solutions in the challenge's folder by file name. Raises BadChallenge without any."""
    paths = sorted(task.folder.glob("solution*.txt"))
    if not paths:
        raise BadChallenge(str(task.folder), "there is no solution.txt")
    return {path.name: read_text(path) for path in paths}


def mutants_of(task: Challenge) -> list[MutantSpec]:
    """The bugs of `mutants.toml`. Raises BadChallenge when it cannot be used."""
    path = task.folder / "mutants.toml"
    try:
        rows = tomllib.loads(read_text(path)).get("mutant", [])
        return [MutantSpec(str(row["loses"]), str(row["old"]), str(row["new"])) for row in rows]
    except (tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError) as exc:
        raise BadChallenge(str(path), f"each [[mutant]] needs loses, old and new ({exc})") from exc


def prove(task: Challenge, jobs: int = 2, elsewhere: bool = True) -> Iterator[ProofLine]:
    """Everything there is to prove, each as it is done. Raises BadChallenge, or what `grade` raises.

    elsewhere: on the other Pythons of this machine as well.
    """
    solutions, mutants = solutions_of(task), mutants_of(task)
    steps: list[Callable[[], ProofLine]] = [
        *(partial(_full_marks, task, name, source) for name, source in solutions.items()),
        partial(_low_baseline, task),
        *(partial(_low_constant, task, value) for value in CONSTANTS),
        partial(_has_mutants, task, mutants),
        *(partial(_loses, task, solutions, mutant) for mutant in mutants),
        *(partial(_same_report, task, *each) for each in (interpreters() if elsewhere else {}).items()),
    ]
    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(lambda step: step(), steps)


def _full_marks(task: Challenge, name: str, source: str) -> ProofLine:
    report = grade(source, task)
    lost = [f"{check.name}: {check.message}" for check in report.checks if not check.passed]
    why = report.refusal or "; ".join(lost)
    return ProofLine(not why, f"{name} gets {_points(report)}{': ' if why else ''}{why}")


def _low_baseline(task: Challenge) -> ProofLine:
    report = grade(task.baseline, task)
    idle = max(grade(_constant(task, value), task).percentage for value in CONSTANTS)
    is_between = report.refusal is None and idle < report.percentage <= MOST_BASELINE
    wanted = f"must run, and get more than a constant ({idle:g} %) and at most {MOST_BASELINE:g} %"
    return ProofLine(is_between, f"the baseline {wanted}: it gets {report.refusal or _points(report)}")


def _constant(task: Challenge, value: str) -> str:
    return f"def {task.function_name}(*args):\n    return {value}\n"


def _low_constant(task: Challenge, value: str) -> ProofLine:
    report = grade(_constant(task, value), task)
    fine = report.percentage <= MOST_CONSTANT
    return ProofLine(
        fine, f"returning {value} must get at most {MOST_CONSTANT:g} %: it gets {_points(report)}"
    )


def _has_mutants(task: Challenge, mutants: Sequence[MutantSpec]) -> ProofLine:
    bare = sorted({check.name for check in task.checks} - {mutant.loses for mutant in mutants})
    return ProofLine(not bare, f"every check has a mutant{': none for ' + ', '.join(bare) if bare else ''}")


def _loses(task: Challenge, solutions: dict[str, str], mutant: MutantSpec) -> ProofLine:
    source = next((text for text in solutions.values() if mutant.old in text), "")
    name = f"`{mutant.old.strip()}` -> `{mutant.new.strip()}`"
    if not source:
        return ProofLine(False, f"the mutant {name} changes nothing: no solution holds that text")
    report = grade(source.replace(mutant.old, mutant.new), task)
    check = next((check for check in report.checks if check.name == mutant.loses), None)
    if check is None:
        return ProofLine(False, f"the mutant {name} names no check: {mutant.loses}")
    kept = f"{check.score:g} of {check.max_score:g}"
    return ProofLine(2 * check.score < check.max_score, f"the mutant {name} leaves {mutant.loses} {kept}")


def interpreters() -> dict[str, str]:
    """Other Pythons on this machine that the grader runs on, by version."""
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    found = {}
    for version in VERSIONS:
        kept = sorted(glob.glob(os.path.expanduser(f"~/.pyenv/versions/{version}.*/bin/python")))
        python = kept[-1] if kept else shutil.which(f"python{version}")
        if python and version != here:
            found[version] = python
    return found


_ELSEWHERE = (
    "import json, sys\nfrom grader import challenge, grade\n"
    "task = challenge(sys.argv[1])\n"
    "print(json.dumps([grade(text, task).to_dict() for text in json.load(sys.stdin)]))"
)


def _same_report(task: Challenge, version: str, python: str) -> ProofLine:
    sources = [*solutions_of(task).values(), task.baseline]
    done = subprocess.run(
        [python, "-c", _ELSEWHERE, task.name],
        cwd=_ROOT,
        input=json.dumps(sources),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        return ProofLine(
            False, f"Python {version} cannot grade it: {lines[-1] if lines else 'no reason given'}"
        )
    same = json.loads(done.stdout) == [grade(source, task).to_dict() for source in sources]
    return ProofLine(same, f"Python {version} gives {'the same reports' if same else 'other reports'}")


def _points(report: Report) -> str:
    return f"{report.score:g} of {report.max_score:g}"
