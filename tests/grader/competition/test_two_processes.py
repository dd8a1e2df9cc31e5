"""One class on two servers: two processes share a database; neither loses, doubles or lets through more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from grader.competition import Store
from tests.grader.competition.samples import join, open_round
from tests.grader.competition.serving import LIMITS

ROOT = Path(__file__).parents[3]
SCRIPT = Path(__file__).parent / "serving.py"


class Process:
    """One of the servers; it works when it is told to."""

    def __init__(self, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(SCRIPT), *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def hear(self) -> str:
        """Its next line."""
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def tell(self) -> None:
        """Let it go on."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def end(self) -> int:
        """Its exit code."""
        self._process.communicate(timeout=60)
        return self._process.returncode


def both(processes: list[Process]) -> list[Any]:
    """Let both work at once; what each of them says."""
    for each in processes:
        each.tell()
    return [json.loads(each.hear()) for each in processes]


def test_two_servers_share_one_class(url: str) -> None:
    store = Store.open(url)
    made = open_round(store)
    ada = join(store, made, "Ada")
    processes = [Process(url, str(made.id), str(ada.id), name) for name in ("left", "right")]
    assert [each.hear() for each in processes] == ["ready\n"] * 2
    left, right = both(processes)
    boards = both(processes)
    assert [each.end() for each in processes] == [0, 0]

    stored = store.submissions.of_round(made.id)
    taken = [*left["taken"], *right["taken"]]
    assert sorted(taken) == sorted({each.id for each in stored})  # none lost, none twice
    assert all(each.is_graded for each in stored)
    with store.database.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM grades").scalar() == len(taken)
    assert boards[0] == boards[1]
    assert [name for _, name, _ in boards[0]] == [row.nickname for row in store.boards.board(made.id)]

    # Ada's own join counts too. Every limit is reached, and none of them is passed by what both took.
    assert 1 + len(left["joined"]) + len(right["joined"]) == LIMITS.joins_per_round_per_minute
    assert len(store.submissions.of_participant(ada.id)) == LIMITS.submissions_per_participant_per_minute
    assert len(taken) == LIMITS.submissions_per_round_per_minute
    store.close()
