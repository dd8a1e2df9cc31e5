"""`python -m grader` as a teacher types it: real processes, exit codes, files."""

import html.parser
import json
import os
import subprocess
import sys
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from grader import Report, grade
from grader.__main__ import DONE, LESS, REFUSED, USAGE, main
from grader.errors import BadChallenge
from grader.grading.batch import grade_all, read_results, read_submissions, submissions, write_results
from grader.grading.html_report import html_report
from grader.grading.packs import load_pack, read_pack

ROOT = Path(__file__).resolve().parents[3]
SOLUTIONS = Path(__file__).parents[1] / "solutions"
GOOD, BUG = SOLUTIONS / "good_heapq.py", SOLUTIONS / "bug_ascending.py"

TASK = {
    "task_id": "Demo/0",
    "prompt": "from typing import List\n\n\ndef smallest(numbers: List[int]) -> int:\n"
    '    """The smallest number."""\n',
    "entry_point": "smallest",
    "canonical_solution": "    return min(numbers)\n",
    "test": "def check(candidate):\n    assert candidate([3, 1, 2]) == 1\n    assert candidate([5]) == 5\n",
}


def call(*arguments, stdin=""):
    """Exit code and standard output of the command in a process of its own."""
    command = [sys.executable, "-m", "grader", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, input=stdin, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def test_score_reads_a_file_and_prints_json():
    code, output = call("score", GOOD, "--json")
    report = json.loads(output)
    assert code == DONE
    assert (report["score"], report["max_score"], report["letter"]) == (120, 120, "A")


def test_score_reads_standard_input_and_takes_the_code_out_of_a_reply():
    code, output = call("score", "-", stdin=f"Here:\n```python\n{BUG.read_text()}\n```\n")
    assert code == DONE
    assert output.startswith("user_metrics: 112.5 of 120 points (93.8 %, A)\n")
    assert "-- correct_sorting_direction      2.50 / 10" in output


@pytest.mark.parametrize(("least", "code"), [("112.5", DONE), ("113", LESS)])
def test_fail_under_turns_a_low_score_into_an_exit_code(least, code):
    assert main(["score", str(BUG), "--fail-under", least]) == code


def test_refused_submission_has_its_own_exit_code(tmp_path, capsys):
    file = tmp_path / "x.py"
    file.write_text("import os\ndef calculate_user_metrics(a, b, c):\n    os.abort()\n")
    assert main(["score", str(file)]) == REFUSED
    assert "refused: line 1: `import os` reaches outside" in capsys.readouterr().out


def test_wrong_names_are_usage_errors(tmp_path, capsys):
    assert main(["score", str(tmp_path / "none.py")]) == USAGE
    assert main(["score", str(GOOD), "--challenge", "nope"]) == USAGE
    assert "there is no challenge 'nope'; there are: user_metrics" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["score", "none.py"], "none.py cannot be read: there is no such file or folder"),
        (["score", "."], "cannot be read: it is a folder"),
        (["score", "latin.py"], "latin.py cannot be read: it is not UTF-8 text"),
        (["score", "good.py/x"], "cannot be read: it is not a folder, or lies below something that is none"),
        (["batch", "none"], "none cannot be read: there is no such file or folder"),
        (["batch", "good.py"], "good.py cannot be read: it is not a folder"),
        (["import", "latin.py"], "latin.py cannot be read: it is not UTF-8 text"),
        (["report", "good.py", "--output", "none/page.html"], "cannot be written: there is no such file"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_files_that_cannot_be_used_are_named_in_plain_words(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "latin.py").write_bytes("# é".encode("latin-1"))
    (tmp_path / "good.py").write_text(GOOD.read_text())
    assert main(arguments) == USAGE
    said = capsys.readouterr().err
    assert words in said
    assert "Errno" not in said
    assert "codec" not in said


def test_standard_input_that_is_no_text_is_said_plainly():
    command = [sys.executable, "-m", "grader", "score", "-"]
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        command, cwd=ROOT, input=b"\xff\xfe", capture_output=True, check=False, env=environment
    )
    assert done.returncode == USAGE
    assert done.stderr == b"error: standard input cannot be read: it is not UTF-8 text\n"


def test_seed_is_said_and_used(capsys):
    main(["score", str(GOOD), "--json", "--seed", "77"])
    assert json.loads(capsys.readouterr().out)["seed"] == 77


def test_challenges_are_listed_with_points(capsys):
    assert main(["challenges"]) == DONE
    output = capsys.readouterr().out
    assert (
        "user_metrics: User metrics (120 points, calculate_user_metrics(users, start_date, end_date))"
        in output
    )
    assert "handles_division_by_zero" in output
    assert main(["challenges", "--json"]) == DONE
    names = [row["name"] for row in json.loads(capsys.readouterr().out)]
    assert names == [
        "user_metrics",
        "birthdays",
        "close_pairs",
        "expiring_cache",
        "free_slots",
        "parse_duration",
    ]


@pytest.fixture
def folder(tmp_path):
    for path in (GOOD, BUG, SOLUTIONS / "junk_none.py"):
        (tmp_path / path.name).write_text(path.read_text())
    (tmp_path / "reply.md").write_text(f"Sure.\n```python\n{GOOD.read_text()}\n```\n")
    (tmp_path / "broken.py").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "notes.pdf").write_bytes(b"%PDF")
    return tmp_path


def test_batch_grades_every_file_and_goes_on_after_a_bad_one(folder, capsys):
    assert main(["batch", str(folder), "--jobs", "2"]) == LESS
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["120.00", "120.00", "112.50", "0.00", "-"]
    assert "broken.py  (cannot be read" in lines[-1]


def test_batch_takes_up_where_it_stopped(folder, capsys):
    main(["batch", str(folder), "--json"])
    first = json.loads(capsys.readouterr().out)
    results = folder / "grades.jsonl"
    lines = results.read_text().splitlines()
    results.write_text("\n".join(lines[:2]) + "\n" + lines[2][:40])
    kept = {json.loads(line)["file"] for line in lines[:2]}
    asked = []

    class Recording(ThreadPoolExecutor):
        def submit(self, fn, /, *args, **kwargs):
            asked.append(args[0])
            return super().submit(fn, *args, **kwargs)

    with Recording(1) as pool:
        again = list(grade_all(read_submissions(submissions(folder)), pool, known=read_results(results)))
    assert len(asked) == 4 - len(kept)
    assert {each.file: each.report for each in again if each.report} == {
        row["file"]: Report.from_dict(row["report"]) for row in first if row["report"]
    }


def test_changed_file_is_graded_again(folder):
    results = folder / "grades.jsonl"
    with ThreadPoolExecutor(2) as pool:
        write_results(results, list(grade_all(read_submissions([folder / GOOD.name]), pool)))
        (folder / GOOD.name).write_text(BUG.read_text())
        changed = list(grade_all(read_submissions([folder / GOOD.name]), pool, known=read_results(results)))
    assert changed[0].report.score == 112.5


def test_batch_runs_on_any_executor():
    class Inline(Executor):
        def submit(self, fn, /, *args, **kwargs):
            future = Future()
            future.set_result(fn(*args, **kwargs))
            return future

    graded = list(grade_all([("a.py", GOOD.read_text(), "")], Inline(), seed=5))
    assert (graded[0].report.score, graded[0].report.seed) == (120, 5)


class Page(html.parser.HTMLParser):
    """Tags and references of a page."""

    def __init__(self):
        super().__init__()
        self.tags, self.links, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href", "onclick", "onerror")]

    def handle_data(self, data):
        self.text.append(data)


def test_html_report_is_one_page_and_escapes_the_submission():
    evil = "# <script>alert(1)</script>\n" + BUG.read_text()
    page = Page()
    page.feed(html_report(grade(evil), evil, '<img src=x onerror="x">'))
    assert "script" not in page.tags
    assert "img" not in page.tags
    assert page.links == []
    text = "".join(page.text)
    assert "<script>alert(1)</script>" in text
    assert "112.5 of 120 points" in text
    assert "correct sorting direction" in text


def test_report_is_written_where_it_should_be(tmp_path):
    assert main(["report", str(BUG), "--html", "--output", str(tmp_path / "r.html")]) == DONE
    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")


@pytest.fixture
def pack(tmp_path):
    wrong = {**TASK, "task_id": "Demo/1", "canonical_solution": "    return max(numbers)\n"}
    path = tmp_path / "pack.jsonl"
    path.write_text(f"{json.dumps(TASK)}\n{json.dumps(wrong)}\n")
    return path


def test_import_keeps_the_tasks_that_pass_their_own_solution(pack, tmp_path, capsys):
    output = tmp_path / "kept.jsonl"
    assert main(["import", str(pack), "--output", str(output)]) == LESS
    assert [task.task_id for task in read_pack(output)] == ["Demo/0"]
    said = capsys.readouterr().out
    assert (
        "left out Demo/1: The task's own test fails: AssertionError at `assert candidate([3, 1, 2]) == 1`"
        in said
    )
    assert "1 of 2 tasks pass" in said


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("def smallest(numbers: List[int]):\n    return sorted(numbers)[0]\n", DONE),
        ("def smallest(numbers):\n    return numbers[0]\n", LESS),
        (
            "class Same:\n    def __eq__(self, other):\n        return True\n\ndef smallest(numbers):\n    "
            "return Same()\n",
            LESS,
        ),
        ("def smallest(numbers):\n    raise SystemExit(0)\n", LESS),
        ("def smallest(numbers):\n    while True:\n        pass\n", LESS),
        ("def smallest(numbers):\n    open('x')\n", REFUSED),
        ("def largest(numbers):\n    return 1\n", REFUSED),
    ],
    ids=["right", "wrong", "equal_to_everything", "exit", "loop", "open", "other_name"],
)
def test_pack_task_is_graded_pass_or_fail(pack, tmp_path, source, code):
    file = tmp_path / "s.py"
    file.write_text(source)
    arguments = ["score", str(file), "--pack", str(pack), "--challenge", "Demo/0", "--fail-under", "1"]
    assert main(arguments) == code


def test_pack_tasks_are_challenges(pack):
    task = load_pack(pack)[0]
    assert (task.signature, task.max_score) == ("smallest(numbers)", 1)
    assert "The smallest number." in task.brief


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it holds no tasks"),
        ("{", "line 1: it is not JSON"),
        ("[]", "line 1: it is not a JSON object"),
        ('{"task_id": "a"}', "lacks the text fields prompt, entry_point, canonical_solution, test"),
        (json.dumps({**TASK, "test": "def check(:"}), "its test is not valid Python"),
        (json.dumps({**TASK, "entry_point": "other"}), "its prompt must define entry_point"),
        (f"{json.dumps(TASK)}\n{json.dumps(TASK)}", "task_id 'Demo/0' stands there twice"),
    ],
    ids=["empty", "no_json", "no_object", "fields", "syntax", "entry_point", "double"],
)
def test_bad_packs_say_what_is_wrong(tmp_path, text, reason):
    path = tmp_path / "bad.jsonl"
    path.write_text(text)
    with pytest.raises(BadChallenge, match=".*" + reason.replace("(", r"\(")):
        read_pack(path)
