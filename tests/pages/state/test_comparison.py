"""Whether code is a copy of the baseline, what changed between two attempts, and what a run may take."""

from __future__ import annotations

import pytest

from grader import challenges
from moa_core import Agent, CallRecord, Layer, MoAConfig
from pages.state.comparison import code_diff, is_copy
from pages.state.expectation import expect, speeds
from pages.state.turn import Turn

BASELINE = "def f(x):\n    return x / 2\n"


@pytest.mark.parametrize(
    ("code", "copied"),
    [
        (BASELINE, True),
        ('# mine\ndef f(x: int) -> float:\n    """Halve."""\n    return (x / 2)', True),
        ("def f(x):\n    return x // 2\n", False),
        ("def f(x:\n", False),
    ],
    ids=["same", "dressed up", "changed", "no Python"],
)
def test_a_copy_is_known_whatever_it_wears(code: str, copied: bool) -> None:
    assert is_copy(code, BASELINE) == copied


def test_every_baseline_is_a_copy_of_itself() -> None:
    assert [is_copy(task.baseline, task.baseline) for task in challenges()] == [True] * len(challenges())


def test_a_diff_of_code_shows_the_changed_lines_and_their_neighbours() -> None:
    assert code_diff("a\nb\nc", "a\nB\nc").splitlines() == [" a", "-b", "+B", " c"]
    assert code_diff("same", "same") == ""


def record(model: str, tokens: int, total_s: float) -> CallRecord:
    return CallRecord(1, "A", 0, "agent", "p", model, 0.0, total_s, 0.1, completion_tokens=tokens)


def config(*limits: int, final: int = 100) -> MoAConfig:
    agents = tuple(Agent(f"A{n}", "m", "p", max_tokens=limit) for n, limit in enumerate(limits))
    return MoAConfig((Layer(agents),), Agent("S", "m", "p", max_tokens=final))


def test_a_run_takes_what_its_slowest_agents_take_one_layer_after_another() -> None:
    expected = expect(config(50, 200), {"m": 10.0}, {})
    assert (expected.most_s, expected.is_measured) == (30.0, True)  # 200 tokens, then 100, at 10 per second


def test_before_any_run_the_estimate_follows_the_models_size() -> None:
    small, large = (expect(config(100), {}, {"m": size}).most_s for size in (100_000_000, 1_000_000_000))
    assert large == pytest.approx(10 * small)


def test_the_speed_of_a_model_is_the_median_of_its_finished_calls() -> None:
    turn = Turn("q", finished_calls=[record("m", 10, 1.0), record("m", 30, 1.0), record("m", 20, 1.0)])
    turn.finished_calls.append(record("m", 2, 1.0))  # too short to tell
    assert speeds([turn]) == {"m": 20.0}
