"""Kill a process while submissions arrive, and compare what it acknowledged with what is there."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from random import Random

from grader.competition import Store

ROOT = Path(__file__).parents[3]
SCRIPT = Path(__file__).parent / "arriving.py"
FINAL_SCRIPT = Path(__file__).parent / "playing_final.py"


def kill_while_arriving(url: str, participants: list[int], random: Random) -> dict[str, int]:
    """Start the process, kill it at a random moment; the ids it acknowledged, by attempt key."""
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), url, *map(str, participants)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    said = process.stdout.readline()  # connected, and the first one is stored
    time.sleep(random.uniform(0.0, 0.25))
    process.kill()
    said += process.stdout.read()
    process.stdout.close()
    process.wait(timeout=30)
    lines = [line.split() for line in said.decode().splitlines(keepends=True) if line.endswith("\n")]
    return {key: int(submission_id) for _, key, submission_id in lines}


def start_final(url: str) -> subprocess.Popen[bytes]:
    """A process that runs what finals the database has."""
    return subprocess.Popen(
        [sys.executable, str(FINAL_SCRIPT), url],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    )


def kill_while_playing(url: str, random: Random) -> None:
    """Start a process that runs the final, and kill it at a random moment after its first run began."""
    process = start_final(url)
    assert process.stdout is not None
    assert process.stdout.readline()
    time.sleep(random.uniform(0.0, 0.3))
    process.kill()
    process.stdout.close()
    process.wait(timeout=30)


def check_after_kill(url: str, acknowledged: dict[str, int]) -> tuple[int, int]:
    """How many acknowledged submissions are missing, and how many rows are damaged or double."""
    store = Store.open(url)
    try:
        with store.database.reading() as connection:
            rows = connection.exec_driver_sql("SELECT attempt_key, id, reply, code FROM submissions").all()
            if store.database.is_sqlite:
                damage = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
                assert list(damage) == ["ok"], damage
    finally:
        store.close()
    there = {row.attempt_key: row.id for row in rows}
    missing = sum(there.get(key) != submission_id for key, submission_id in acknowledged.items())
    damaged = sum(len(row.reply) != 10_000 or not row.code for row in rows)
    return missing, damaged + len(rows) - len(there)
