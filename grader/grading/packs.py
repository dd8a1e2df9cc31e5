"""Challenge packs in HumanEval's format: one JSON object per line, graded pass or fail.

Fields (openai/human-eval, 2021): task_id, prompt (imports, helpers, signature and docstring), entry_point,
canonical_solution (the body), test (source of `check(candidate)`).
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from grader.errors import BadChallenge
from grader.grading.challenge import Challenge, Check, Plan
from grader.grading.files import read_text, write_text
from grader.source import parse

FIELDS = ("task_id", "prompt", "entry_point", "canonical_solution", "test")
PASSES = Check("passes_tests", "tests", 1, "All assertions of the task's own test hold.")


@dataclass(frozen=True)
class PackTask:
    """One line of a pack."""

    task_id: str
    prompt: str
    entry_point: str
    canonical_solution: str
    test: str

    @property
    def solution(self) -> str:
        """The pack's own answer as a whole source."""
        return self.prompt + self.canonical_solution


def read_pack(path: Path) -> list[PackTask]:
    """Every task of a pack. Raises BadChallenge naming the line that is wrong, UnusableFile when
    there is no such file."""
    tasks = list(_tasks(path))
    if not tasks:
        raise BadChallenge(str(path), "it holds no tasks")
    names = [task.task_id for task in tasks]
    doubles = sorted({name for name in names if names.count(name) > 1})
    if doubles:
        raise BadChallenge(str(path), f"task_id {doubles[0]!r} stands there twice")
    return tasks


def _tasks(path: Path) -> Iterator[PackTask]:
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as exc:
            raise BadChallenge(f"{path}, line {number}", "it is not JSON") from exc
        yield _task(row, f"{path}, line {number}")


def _task(row: Any, where: str) -> PackTask:
    if not isinstance(row, dict):
        raise BadChallenge(where, "it is not a JSON object")
    missing = [name for name in FIELDS if not isinstance(row.get(name), str)]
    if missing:
        raise BadChallenge(where, f"it lacks the text fields {', '.join(missing)}")
    task = PackTask(*(row[name] for name in FIELDS))
    for name, text in (("prompt and canonical_solution", task.solution), ("test", task.test)):
        try:
            parse(text)
        except (SyntaxError, ValueError) as exc:
            raise BadChallenge(where, f"its {name} is not valid Python") from exc
    if f"def {task.entry_point}" not in task.prompt or "def check" not in task.test:
        raise BadChallenge(
            where, "its prompt must define entry_point and its test must define check(candidate)"
        )
    return task


def pack_challenge(task: PackTask, path: Path) -> Challenge:
    """The task as a challenge with one check worth one point."""
    return Challenge(
        name=task.task_id,
        title=task.task_id,
        function_name=task.entry_point,
        signature=_signature(task),
        checks=(PASSES,),
        plan=_no_plan,
        folder=path.parent,
        test=task.test,
        preamble=_preamble(task),
        texts={
            "brief": f"Complete this function.\n\n```python\n{task.prompt.strip()}\n```\n",
            "baseline": task.prompt,
        },
    )


def load_pack(path: Path) -> list[Challenge]:
    """Every task of a pack as a challenge. Raises BadChallenge or UnusableFile."""
    return [pack_challenge(task, path) for task in read_pack(path)]


def write_pack(path: Path, tasks: Sequence[PackTask]) -> None:
    """Write tasks in the same format."""
    write_text(path, "".join(json.dumps(asdict(task)) + "\n" for task in tasks))


def _no_plan(seed: int) -> Plan:
    return {}


def _signature(task: PackTask) -> str:
    for node in ast.walk(parse(task.solution)):
        if isinstance(node, ast.FunctionDef) and node.name == task.entry_point:
            return f"{task.entry_point}({', '.join(arg.arg for arg in node.args.args)})"
    return f"{task.entry_point}()"


def _preamble(task: PackTask) -> str:
    """Imports and helpers that the prompt gives before the function."""
    tree = parse(task.solution)
    kept = [
        ast.unparse(node)
        for node in tree.body
        if not (isinstance(node, ast.FunctionDef) and node.name == task.entry_point)
    ]
    return "\n".join(kept)
