"""The recap says what helped."""

from __future__ import annotations

import json

from pages.state.recap import Step, recap, what_helped


def step(number: int, score: float, prompt: str) -> Step:
    return Step(number, score, 100, json.dumps({"prompt": prompt}))


STEPS = [step(1, 10, "a"), step(2, 50, "b"), step(3, 60, "b"), step(4, 20, "c"), step(5, 75, "d")]


def test_the_changes_that_brought_most_come_first_and_chance_is_left_out() -> None:
    found = what_helped(STEPS)
    assert [(before.number, after.number) for before, after, _ in found] == [(4, 5), (1, 2)]
    assert '+prompt: "d"' in found[0][2]


def test_a_recap_has_the_best_the_place_and_every_submission() -> None:
    text = recap("A*da", "Monday", 120, STEPS, 2, 9, None)
    assert "A\\*da" in text
    assert "the best with 75 of 120 points (number 5" in text
    assert "place 2 of 9" in text
    assert text.count("\n| ") == 7
    assert "in the final" not in text
