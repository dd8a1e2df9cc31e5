"""A folder graded on a real Dask cluster."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from grader.__main__ import main
from tests.dask_cluster import scheduler, worker

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
