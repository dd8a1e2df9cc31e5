"""A folder graded on a real Dask cluster."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import ExitStack
from pathlib import Path

import pytest

from grader.__main__ import main
from grader.grading.workers import ClusterElseHere, connect
from tests.dask_cluster import running_scheduler, scheduler, worker

SOLUTIONS = Path(__file__).parents[1] / "solutions"


def test_a_batch_on_a_cluster_gets_the_scores_of_this_machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("good_heapq", "bug_top_three"):
        shutil.copy(SOLUTIONS / f"{name}.py", tmp_path)
    main(["batch", str(tmp_path), "--json", "--results", str(tmp_path / "here.jsonl")])
    here = json.loads(capsys.readouterr().out)

    with scheduler() as address, worker(address):
        there_file = str(tmp_path / "there.jsonl")
        assert main(["batch", str(tmp_path), "--json", "--results", there_file, "--scheduler", address]) == 0

    there = json.loads(capsys.readouterr().out)
    assert [row["report"]["score"] for row in there] == [row["report"]["score"] for row in here]
    assert there[0]["report"]["score"] == 120


@pytest.fixture
def graders() -> Iterator[Callable[..., ClusterElseHere]]:
    """Makes executors that are ended with the test."""
    with ExitStack() as stack:

        def make(address: str, **options: float) -> ClusterElseHere:
            client = connect(address)
            stack.callback(client.close)
            return stack.enter_context(ClusterElseHere(client, 1, **options))

        yield make


def test_grading_goes_on_here_when_the_scheduler_dies_under_it(graders: Callable[..., Executor]) -> None:
    with running_scheduler() as (process, address), worker(address):
        executor = graders(address)
        assert executor.submit(os.getpid).result(60) != os.getpid()
        running = executor.submit(slow_pid)
        process.kill()
        assert running.result(60) == os.getpid()
        assert executor.submit(slow_pid).result(60) == os.getpid()


def test_grading_goes_on_here_when_the_cluster_has_no_worker(graders: Callable[..., Executor]) -> None:
    with scheduler() as address:
        assert graders(address, patience_s=0.2).submit(os.getpid).result(60) == os.getpid()


def test_what_a_job_raises_is_its_result(graders: Callable[..., Executor]) -> None:
    with scheduler() as address, worker(address), pytest.raises(ZeroDivisionError):
        graders(address).submit(divmod, 1, 0).result(60)


def slow_pid() -> int:
    time.sleep(1.0)
    return os.getpid()
