"""Small bugs, made mechanically: a sample of `bench/mutants.py`, which grades them all."""

from __future__ import annotations

import pytest

from bench.mutants import EQUIVALENT, SOLUTIONS, mutants_of
from grader import grade

MUTANTS = [mutant for name in SOLUTIONS for mutant in mutants_of(name)]
DIFFERENT = [mutant for mutant in MUTANTS if mutant.name not in EQUIVALENT]


def test_mutants_are_many_and_of_every_kind() -> None:
    assert len(DIFFERENT) >= 300
    assert {mutant.kind for mutant in MUTANTS} == {
        "accumulate",
        "branch",
        "comparison",
        "constant",
        "key",
        "loop bound",
        "operator",
        "slice",
        "sort key",
    }
    assert set(EQUIVALENT) <= {mutant.name for mutant in MUTANTS}


@pytest.mark.parametrize("mutant", DIFFERENT[7::25], ids=lambda mutant: mutant.name)
def test_a_mutant_loses_points(mutant) -> None:
    assert grade(mutant.source).score < 120
