"""Hostile submissions, each from its own file: contained, judged, and never paid for it."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from grader import grade
from grader.grading.challenge import FunctionCall
from grader.sandbox import Sandbox, SandboxLimits

PROGRAMS = sorted((Path(__file__).parents[1] / "hostile").glob("*.txt"))
HONEST = (Path(__file__).parents[1] / "solutions" / "good_heapq.py").read_text(encoding="utf-8")
LIMITS = SandboxLimits(wall_s=6.0, silence_s=1.0, cpu_s=0.3, max_timeouts=2, max_restarts=4)
TRACES = (Path("/tmp/grader-was-here"),)


@pytest.fixture(scope="module")
def box():
    sandbox = Sandbox(LIMITS)
    yield sandbox
    sandbox.close()


@pytest.fixture(scope="module")
def short_box():
    """Gives up after the first call that does not end: for programs of which all are alike."""
    sandbox = Sandbox(replace(LIMITS, max_timeouts=1, max_restarts=2))
    yield sandbox
    sandbox.close()


@pytest.fixture
def world(tmp_path, monkeypatch):
    """Files, environment and working folder a hostile program might go for."""
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GRADER_TEST_SECRET", "do not read")
    yield
    assert victim.read_text() == "untouched"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["victim"]
    assert os.environ["GRADER_TEST_SECRET"] == "do not read"
    assert [path for path in TRACES if path.exists()] == []


def test_there_are_many_hostile_programs():
    assert len(PROGRAMS) >= 120


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_hostile_program_gains_nothing(path, short_box, world):
    source = path.read_text(encoding="utf-8")
    expectation = source.splitlines()[1].removeprefix("# expect: ")
    report = grade(source, sandbox=short_box)
    checks = {check.name: check.score for check in report.checks}
    if expectation == "refused":
        assert (report.refusal or "").startswith("refused: ")
        assert report.score == 0
    elif expectation == "zero":
        assert report.score == 0
    elif expectation == "slow":
        assert checks["efficient_implementation"] == 0
    else:
        assert report.score < 30
        assert expectation != "mutates" or checks["doesnt_mutate_input"] == 0


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_isolation_behind_the_policy_contains_it_too(path, short_box, world):
    """Without the static look and with Python's own built-ins, only the process and the kernel are left."""
    users = [{"last_login": "2024-05-05", "posts": 1, "comments": 1, "likes": 1, "days_active": 1}]
    calls = [
        ("one", FunctionCall((users, "2024-01-01", "2024-12-31"))),
        ("two", FunctionCall(([], "2024-01-01", "2024-12-31"))),
    ]
    source = path.read_text(encoding="utf-8")
    run = short_box.run(source, "calculate_user_metrics", calls, policy=False, guard=False)
    assert len(run.outcomes) == 2
    assert not any(outcome.ok and outcome.value == "escaped" for outcome in run.outcomes)


def test_judge_goes_on_after_all_of_them(box):
    box.warm_up()
    parent = box.parent_pid
    for name in ("loop_forever", "memory_list", "flood_print", "os_exit", "fork_bomb"):
        path = Path(__file__).parents[1] / "hostile" / f"{name}.txt"
        box.run(
            path.read_text(),
            "calculate_user_metrics",
            [("one", FunctionCall(([], "", "")))],
            policy=False,
            guard=False,
        )
    assert grade(HONEST, sandbox=box).score == 120
    assert box.parent_pid == parent


def test_results_before_a_hang_are_kept(box):
    source = "def f(x):\n    while x == 2:\n        pass\n    return x * 10\n"
    calls = [
        ("first", FunctionCall((1,))),
        ("first", FunctionCall((2,))),
        ("first", FunctionCall((3,))),
        ("second", FunctionCall((4,))),
    ]
    outcomes = box.run(source, "f", calls).outcomes
    assert [outcome.kind for outcome in outcomes] == ["value", "timeout", "not_run", "value"]
    assert (outcomes[0].value, outcomes[3].value) == (10, 40)


def test_results_around_a_death_are_kept(box):
    source = "import os\ndef f(x):\n    if x == 2:\n        os._exit(0)\n    return x * 10\n"
    calls = [("all", FunctionCall((number,))) for number in (1, 2, 3)]
    sandbox = Sandbox(LIMITS, isolation=("resource limits",))
    outcomes = sandbox.run(source, "f", calls, policy=False, guard=False).outcomes
    sandbox.close()
    assert [outcome.kind for outcome in outcomes] == ["value", "died", "value"]


def test_source_over_the_limit_is_not_parsed(box):
    report = grade("x = 1\n" * 40_000 + HONEST, sandbox=box)
    assert report.score == 0
    assert "at most 200,000" in report.refusal


def test_parent_is_replaced_when_it_dies(box):
    box.warm_up()
    first = box.parent_pid
    os.kill(first, 9)
    assert grade(HONEST, sandbox=box).score == 120
    assert box.parent_pid != first


FORGER = """
import posix

def shout(text):
    for fd in range(3, 40):
        try:
            posix.write(fd, text.encode())
        except OSError:
            pass

{early}

def f(x):
    shout({late!r})
    return x
"""


@pytest.mark.parametrize(
    "line",
    [
        '{"call": 0, "plain": 99, "steps": "many", "mutated": "no"}',
        '{"call": 1, "plain": 99}',
        '{"isolation": 5}',
        '{"policy": {"refused": [[1]], "notes": 3, "defined": 1}}',
        '{"loaded": true, "problem": {"type": [], "line": {}}}',
        '{"loaded": true, "problem": 7}',
        '{"syntax": 5}',
        '{"flood": true}',
        '{"call": 0, "value": ["d", [[["l"], 1]], ["x"]]}',
        '{"call": 0, "error": {"type": "<b>", "line": "x", "detail": {"a": 1}}}',
        "[1, 2]",
        "not json",
        "[" * 5000,
    ],
)
@pytest.mark.parametrize("moment", ["early", "late"])
def test_forged_messages_never_break_the_judge(line, moment):
    """With nearly every measure off, a submission can write to the judge's pipe: it is read as data."""
    box = Sandbox(LIMITS, isolation=("closed files",))
    early = f"shout({line + chr(10)!r})" if moment == "early" else ""
    source = FORGER.format(early=early, late=line + "\n" if moment == "late" else "")
    run = box.run(
        source, "f", [("g", FunctionCall((1,))), ("g", FunctionCall((2,)))], policy=False, guard=False
    )
    box.close()
    assert len(run.outcomes) == 2
    assert all(isinstance(outcome.line, int) and isinstance(outcome.error, str) for outcome in run.outcomes)
