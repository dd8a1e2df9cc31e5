"""A process that runs the finals of a database; made to be killed.

    python tests/grader/competition/playing_final.py URL

Prints a line "ENTRY NUMBER" when a run begins, and ends when nothing is left to run.
"""

from __future__ import annotations

import os
import sys
import time

from grader.competition import Database, FinalJob, FinalRunner, SetupRun, Store
from tests.grader.competition.samples import report

LEASE_S = 0.6


def run(job: FinalJob, _should_stop: object) -> SetupRun:
    os.write(1, f"{job.entry_id} {job.number}\n".encode())
    time.sleep(0.04)
    return SetupRun(f"{job.entry_id}/{job.number}/{job.seed}", 10, 20, 0.04)


def main() -> None:
    store = Store(Database(sys.argv[1]))
    runner = FinalRunner(
        store, run, slots=3, grade=lambda reply, challenge, seed: (reply, report(seed % 100)), lease_s=LEASE_S
    )
    runner.wake()
    runner.wait_idle(120)


if __name__ == "__main__":
    main()
