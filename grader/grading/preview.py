"""What a teacher looks at before a round: the drawn cases of a challenge with the right answers, as data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from grader.grading.challenge import Challenge, Input


@dataclass(frozen=True)
class DrawnCase:
    """One hidden case. input: named arguments; expected: the reference's answer; kind: its family's name."""

    kind: str
    input: Mapping[str, Any]
    expected: Any


def drawn_cases(task: Challenge, check: str, seed: int) -> list[DrawnCase]:
    """Every case that the seed draws for a check, in the order in which they are run.

    Not for participants: whoever knows the seed knows the cases. Raises KeyError for an unknown check.
    """
    return [
        DrawnCase(each.note or family.name, _named(task, each), _answer(task, each))
        for family in task.plan(seed)[check]
        for each in family.inputs
        if each.drawn
    ]


def _named(task: Challenge, each: Input) -> dict[str, Any]:
    return dict(zip(task.parameters, each.args, strict=False))


def _answer(task: Challenge, each: Input) -> Any:
    """From copies: a reference may keep parts of what it is given."""
    return task.reference(*json.loads(json.dumps(each.args))) if task.reference else None
