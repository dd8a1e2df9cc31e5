"""Kill a process while submissions arrive, and compare what it acknowledged with what is there."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from grader.competition import Store

ROOT = Path(__file__).parents[3]
SCRIPT = Path(__file__).parent / "arriving.py"
FINAL_SCRIPT = Path(__file__).parent / "playing_final.py"


@dataclass
class Acknowledged:
    """What a killed process had said was done: submissions by attempt key; where each person sits.

    seats: the team; "" for nobody's; None while they were leaving, when both may be true.
    """

    submissions: dict[str, int] = field(default_factory=dict)
    seats: dict[str, str | None] = field(default_factory=dict)

    def hear(self, line: str) -> None:
        """Take note of one line of the process."""
        first, *rest = line.split()
        if first == "in":
            self.seats[rest[0]] = rest[1]
        elif first in ("leaving", "out"):
            self.seats[rest[0]] = None if first == "leaving" else ""
        else:
            self.submissions[rest[0]] = int(rest[1])


def kill_while_arriving(url: str, participants: list[int], random: Random, *teams: str) -> Acknowledged:
    """Start the process, kill it at a random moment; what it acknowledged. teams: round, names and codes."""
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), url, *map(str, participants), *(["--teams", *teams] if teams else [])],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    said = first = process.stdout.readline()  # connected, and the first one is stored
    while teams and not first.startswith(b"in "):  # and somebody has joined a team
        first = process.stdout.readline()
        said += first
    time.sleep(random.uniform(0.1, 0.4))
    process.kill()
    said += process.stdout.read()
    process.stdout.close()
    process.wait(timeout=30)
    found = Acknowledged()
    for line in said.decode().splitlines(keepends=True):
        if line.endswith("\n"):
            found.hear(line)
    return found


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


def check_seats(url: str, round_id: int, team_size: int, seats: dict[str, str | None]) -> set[str]:
    """What is wrong with the teams after a kill; seats: where the process had said that each person sits."""
    store = Store.open(url)
    try:
        names = {who.id: who.nickname for who in store.participants.of_round(round_id)}
        members = store.participants.members(round_id)
    finally:
        store.close()
    found = Counter(name for team in members.values() for name in team)
    wrong = {f"{name} sits in {n} teams" for name, n in found.items() if n > 1}
    too_many = {who: team for who, team in members.items() if 1 + len(team) > team_size}
    wrong |= {f"{names[who]} has {1 + len(team)} people" for who, team in too_many.items()}
    where = {name: names[who] for who, team in members.items() for name in team}
    for number, team in seats.items():
        sits = where.get(f"Person {number}", "")
        if team and sits != team:  # "in" was acknowledged, and nothing after it
            wrong.add(f"Person {number} sits in {sits or 'none'} and not in {team}")
    return wrong
