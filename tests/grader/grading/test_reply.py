"""From a model's reply to its grade: the same way for the page, the command line and the Lab."""

import json
from pathlib import Path

import pytest

from grader import grade_reply, read_and_grade, score_reply

SOLUTIONS = Path(__file__).parents[1] / "solutions"
HEAPQ = (SOLUTIONS / "good_heapq.py").read_text(encoding="utf-8")


def test_a_reply_is_graded_and_says_what_was_left_out():
    reply = f"Sure.\n```python\n{HEAPQ}\nprint(calculate_user_metrics([], '', ''))\n```\n"
    report = grade_reply(reply)
    assert report.score == 120
    assert report.notes[0] == "left out of the reply: example calls and statements outside the function"


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("I cannot help with that.", "the reply has no code, so no function `calculate_user_metrics`"),
        ("Sorry", "the reply has no code, so no function `calculate_user_metrics`"),
        ("def calculate_user_metrics(users:\n    pass\n", "line 1 is not valid Python 3.11"),
        ("```python\nprint(1)\n```", "the reply has code, but no function `calculate_user_metrics`"),
    ],
    ids=["refusal", "one_word", "broken_source", "other_code"],
)
def test_a_reply_without_the_function_gets_no_points_and_the_reason(reply, reason):
    report = grade_reply(reply)
    assert report.score == 0
    assert report.refusal.startswith(reason)


USES_SUBPROCESS = "import subprocess\n" + HEAPQ + "\nsubprocess.run([])\n"


@pytest.mark.parametrize("reply", [USES_SUBPROCESS, f"Here:\n```python\n{HEAPQ}```\n", "No."])
def test_page_command_line_and_lab_see_the_same_grade(reply):
    graded = read_and_grade(reply)
    score = score_reply(reply)
    assert grade_reply(reply) == graded.report
    assert (score.value, score.maximum) == (graded.report.score, 120)
    assert score.detail == json.loads(
        json.dumps({"code": graded.extraction.code, "report": graded.report.to_dict()})
    )


def test_a_bare_reply_is_graded_whole():
    graded = read_and_grade(USES_SUBPROCESS)
    assert graded.extraction.code == USES_SUBPROCESS
    assert graded.report.refusal.startswith("refused: line 1: `import subprocess` reaches outside")
