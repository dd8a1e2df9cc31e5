"""Every command that the documents show runs here as a reader would type it, or is a named exception."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(?:bash|sh)\n(.*?)^```", re.M | re.S)

# Started and looked at elsewhere, or not ours to start.
ELSEWHERE = {
    "make run": "tests/e2e starts the same app",
    "make test": "it is running",
    "streamlit run": "tests/e2e starts the same app",
}


def commands() -> list[str]:
    """The lines of all shell fences, without comments, in order and once each."""
    found: dict[str, None] = {}
    for path in DOCUMENTS:
        for block in FENCE.findall(path.read_text(encoding="utf-8")):
            for line in block.replace("\\\n", " ").splitlines():
                command = line.split("  #")[0].split(" # ")[0].strip()
                if command and not command.startswith("#"):
                    found[command] = None
    return list(found)


def named_places(text: str) -> list[str]:
    """The files and folders in backticks; "<name>" and "Y.py" of an explanation are none."""
    found = re.findall(r"`([\w./-]+(?:\.py|/))`", text)
    return [place for place in dict.fromkeys(found) if "/" in place]


COMMANDS = commands()
RUN = [command for command in COMMANDS if not command.startswith(tuple(ELSEWHERE))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reader's folder with the files that the commands name."""
    made = tmp_path_factory.mktemp("reader")
    solution = (ROOT / "tests/grader/solutions/good_heapq.py").read_text(encoding="utf-8")
    (made / "solution.py").write_text(solution, encoding="utf-8")
    tasks = (ROOT / "docs/challenges-howto.md").read_text(encoding="utf-8")
    (made / "tasks.jsonl").write_text(tasks.split("```json\n")[1].split("```")[0], encoding="utf-8")
    (made / "answer.py").write_text("def smallest(numbers):\n    return min(numbers)\n", encoding="utf-8")
    return made


def test_the_documents_show_commands():
    assert {"make run", "make test"} <= set(COMMANDS)
    assert len(RUN) >= 5


def test_the_architecture_names_only_what_is_there():
    """A place is named from the root, or from inside a package when the sentence says which."""
    roots = [ROOT, *(ROOT / package for package in ("wse_backend", "moa_core", "grader", "pages"))]
    places = named_places((ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"))

    assert len(places) > 20
    assert [place for place in places if not any((root / place).exists() for root in roots)] == []


@pytest.mark.parametrize("exception", ELSEWHERE)
def test_no_exception_outlives_its_command(exception):
    assert any(command.startswith(exception) for command in COMMANDS)


@pytest.mark.parametrize("command", RUN)
def test_a_command_runs_as_it_stands(command, folder):
    """Each needs exit status 0; `make` is asked what it would do, a benchmark whether its options are so."""
    words = shlex.split(command)
    environment = dict(word.split("=", 1) for word in words if re.fullmatch(r"[A-Z_]+=\S*", word))
    words = words[len(environment) :]
    assert words[0] in ("python", "make"), f"say in ELSEWHERE which test runs {command!r}"
    if words[0] == "make":
        words = ["make", "-n", *words[1:]]
    elif words[1].startswith("bench/"):
        words = [sys.executable, *words[1:], "--help"]
    else:
        words = [sys.executable, *words[1:]]
    where = folder if words[1] == "-m" else ROOT

    done = subprocess.run(
        words, cwd=where, env=_environment(environment), capture_output=True, text=True, timeout=280
    )

    assert done.returncode == 0, done.stderr or done.stdout


def _environment(extra: dict[str, str]) -> dict[str, str]:
    """This process's environment with the project on Python's path."""
    return {**os.environ, **extra, "PYTHONPATH": str(ROOT)}
