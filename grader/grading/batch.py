"""Grading many submissions on any `concurrent.futures.Executor`, picking up where an earlier run stopped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader.errors import BadReport, GraderError, SandboxError, UnusableFile
from grader.grading.challenge import DEFAULT_SEED
from grader.grading.files import files_in, read_text, write_text
from grader.grading.registry import DEFAULT_CHALLENGE
from grader.grading.reply import grade_reply
from grader.grading.report import Report

SUFFIXES = (".py", ".md", ".txt")
"""Submissions are Python files or replies of a model."""


@dataclass(frozen=True)
class Graded:
    """One file of a batch. problem: why there is no report (unreadable file, our own failure), else ""."""

    file: str
    key: str
    report: Report | None
    problem: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data."""
        report = self.report.to_dict() if self.report else None
        return {"file": self.file, "key": self.key, "problem": self.problem, "report": report}


def submissions(folder: Path) -> list[Path]:
    """The files of a folder that can be graded, by name. Raises UnusableFile."""
    return files_in(folder, SUFFIXES)


def read_submissions(paths: Iterable[Path]) -> Iterator[tuple[str, str, str]]:
    """Name, text and problem of each file; an unreadable one has a problem instead of a text."""
    for path in paths:
        try:
            yield path.name, read_text(path), ""
        except UnusableFile as exc:
            yield path.name, "", f"cannot be read: {exc.reason}"


def key_of(text: str, challenge_name: str, seed: int) -> str:
    """Names a grade: the same text, challenge and seed need not be graded twice."""
    return hashlib.sha256(f"{challenge_name}\0{seed}\0{text}".encode("utf-8", "replace")).hexdigest()[:32]


def grade_text(text: str, challenge_name: str, seed: int) -> dict[str, Any]:
    """One grade as plain data; a module-level function, so that it can travel to other processes and
    machines."""
    return grade_reply(text, challenge_name, seed).to_dict()


def grade_all(
    files: Iterable[tuple[str, str, str]],
    executor: Executor,
    challenge_name: str = DEFAULT_CHALLENGE,
    seed: int | None = None,
    known: Mapping[str, Graded] | None = None,
) -> Iterator[Graded]:
    """Grade (name, text, problem) triples; yields each as it is done, known ones first.

    One bad file never stops the others. Raises SandboxError when submissions cannot be run at all.
    """
    used_seed = DEFAULT_SEED if seed is None else seed
    waiting: dict[Future[dict[str, Any]], tuple[str, str]] = {}
    for name, text, problem in files:
        key = key_of(text, challenge_name, used_seed)
        earlier = (known or {}).get(key)
        if problem:
            yield Graded(name, "", None, problem)
        elif earlier is not None:
            yield Graded(name, key, earlier.report)
        else:
            waiting[executor.submit(grade_text, text, challenge_name, used_seed)] = (name, key)
    for future in as_completed(waiting):
        name, key = waiting[future]
        yield _finished(future, name, key)


def _finished(future: Future[dict[str, Any]], name: str, key: str) -> Graded:
    try:
        return Graded(name, key, Report.from_dict(future.result()))
    except SandboxError:
        raise
    except GraderError as exc:
        return Graded(name, key, None, str(exc))


def write_results(path: Path, graded: Sequence[Graded]) -> None:
    """Append results, one JSON object per line, so that an interrupted run loses nothing."""
    write_text(path, "".join(json.dumps(each.to_dict()) + "\n" for each in graded), append=True)


def read_results(path: Path) -> dict[str, Graded]:
    """The results of earlier runs by key; a line that was cut off is left out."""
    found: dict[str, Graded] = {}
    if not path.exists():
        return found
    for line in read_text(path).splitlines():
        try:
            row = json.loads(line)
            if row["report"] is not None:
                found[row["key"]] = Graded(row["file"], row["key"], Report.from_dict(row["report"]))
        except (ValueError, KeyError, TypeError, BadReport):
            continue
    return found
