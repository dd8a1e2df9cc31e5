"""A returned result, read field by field: what is there, and what is wrong with its form."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isclose
from typing import Any

from grader.challenges.user_metrics.reference import FIELDS
from grader.grading.display import show
from grader.grading.judges import is_number
from grader.words import count

AVERAGE, PERFORMERS, COUNT = FIELDS
SCORE = "engagement_score"
RELATIVE = 1e-6
MOST = 2500
"""A longer list of performers is not read: no input has so many users."""
ROUNDED = 0.01
"""How far a mean of scores that were each rounded to two decimals, rounded again, can lie from the exact
mean."""


def is_close(got: Any, expected: float) -> bool:
    """Numerically equal: 1e-6 relative, or equal after rounding to two decimals."""
    if not is_number(got):
        return False
    return isclose(got, expected, rel_tol=RELATIVE, abs_tol=1e-9) or abs(got - expected) <= ROUNDED + 1e-9


@dataclass
class MetricsResult:
    """A returned result, field by field. problems: what is wrong with the form of a field, by its name."""

    average: float = 0.0
    performers: list[dict[str, Any]] = field(default_factory=list)
    count: int = 0
    problems: dict[str, str] = field(default_factory=dict)

    @property
    def has_form(self) -> bool:
        """Whether it is a result at all: a dict in which at most one of the three fields is ill-formed."""
        return sum(name in self.problems for name in FIELDS) <= 1


def why_formless(answer: MetricsResult) -> str:
    """What is wrong with the form, each reason once."""
    return "; ".join(dict.fromkeys(answer.problems.values()))


def read(value: Any) -> MetricsResult:
    """Take a returned value apart; whatever is ill-formed becomes a problem of its field."""
    answer = MetricsResult()
    if not isinstance(value, dict):
        answer.problems = dict.fromkeys((*FIELDS, SCORE), f"the result is {show(value, 60)}, not a dict")
        return answer
    _read_average(value, answer)
    _read_count(value, answer)
    _read_performers(value, answer)
    return answer


def _read_average(value: dict[str, Any], answer: MetricsResult) -> None:
    if AVERAGE not in value:
        answer.problems[AVERAGE] = f"the key {AVERAGE!r} is missing"
    elif not is_number(value[AVERAGE]):
        answer.problems[AVERAGE] = f"{AVERAGE} is {show(value[AVERAGE], 40)}, not a finite number"
    else:
        answer.average = value[AVERAGE]


def _read_count(value: dict[str, Any], answer: MetricsResult) -> None:
    if COUNT not in value:
        answer.problems[COUNT] = f"the key {COUNT!r} is missing"
    elif not is_number(value[COUNT]) or value[COUNT] != int(value[COUNT]) or value[COUNT] < 0:
        answer.problems[COUNT] = f"{COUNT} is {show(value[COUNT], 40)}, not a count"
    else:
        answer.count = int(value[COUNT])


def _read_performers(value: dict[str, Any], answer: MetricsResult) -> None:
    found = value.get(PERFORMERS)
    if PERFORMERS not in value:
        answer.problems[PERFORMERS] = f"the key {PERFORMERS!r} is missing"
    elif isinstance(found, list) and len(found) > MOST:
        answer.problems[PERFORMERS] = f"{PERFORMERS} has {len(found):,} entries"
    elif not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        answer.problems[PERFORMERS] = f"{PERFORMERS} is {show(found, 80)}, not a list of dicts"
    else:
        answer.performers = found
        for each in found:
            if SCORE not in each:
                answer.problems[SCORE] = f"a performer has no {SCORE!r}"
            elif not is_number(each[SCORE]):
                answer.problems[SCORE] = (
                    f"a performer's {SCORE} is {show(each[SCORE], 40)}, not a finite number"
                )
    if PERFORMERS in answer.problems:
        answer.problems[SCORE] = answer.problems[PERFORMERS]


def not_empty(answer: MetricsResult) -> dict[str, str]:
    """What keeps an answer from saying that nobody was active, by field."""
    wrong = {
        name: text
        for name, text in answer.problems.items()
        if name != SCORE or PERFORMERS not in answer.problems
    }
    if AVERAGE not in wrong and not is_close(answer.average, 0):
        wrong[AVERAGE] = f"{AVERAGE} {show(answer.average)}"
    if PERFORMERS not in wrong and answer.performers:
        wrong[PERFORMERS] = count(len(answer.performers), "performer")
    if COUNT not in wrong and answer.count:
        wrong[COUNT] = f"{COUNT} {answer.count}"
    return wrong
