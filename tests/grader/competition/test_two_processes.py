"""One class on two servers: two processes share a database; neither loses, doubles or lets through more."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from grader.competition import GradingQueue, Store
from tests.grader.competition.samples import generation, join, open_round, report

ROOT = Path(__file__).parents[3]
SUBMIT = """
import sys
from grader.competition import CompetitionError, Database, Store
from tests.grader.competition.samples import generation
url, who, name = sys.argv[1], int(sys.argv[2]), sys.argv[3]
store = Store(Database(url))
n_taken = 0
for number in range(10):
    try:
        store.submissions.add(who, generation(f"{name}{number}"))
        n_taken += 1
    except CompetitionError:
        pass
print(n_taken)
"""


def test_the_rate_of_a_participant_holds_over_both_processes(url: str) -> None:
    store = Store.open(url)
    ada = join(store, open_round(store), "Ada")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", SUBMIT, url, str(ada.id), name],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
        )
        for name in ("left", "right")
    ]
    taken = [int(process.communicate(timeout=60)[0]) for process in started]
    assert sum(taken) == len(store.submissions.of_participant(ada.id)) == 6  # a minute
    store.close()


def test_both_grading_queues_leave_one_grade_each_and_the_boards_agree(url: str) -> None:
    """Two queues of two stores, as two processes have; both pick up what waits."""
    stores = [Store.open(url), Store.open(url)]
    made = open_round(stores[0])
    for number in range(6):
        who = join(stores[number % 2], made, f"Person {number}")
        stores[number % 2].submissions.add(who.id, generation("k"))
    with ThreadPoolExecutor(4) as pool:
        queues = [
            GradingQueue(store, pool, grade=lambda code, challenge, seed: (report(40), 0.1))
            for store in stores
        ]
        for queue in queues:
            queue.pick_up()
        assert all(queue.wait(60) for queue in queues)
    with stores[0].database.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM grades").scalar() == 6
    boards = [[row.nickname for row in store.boards.board(made.id)] for store in stores]
    assert boards[0] == boards[1]
    assert len(boards[0]) == 6
    for store in stores:
        store.close()
