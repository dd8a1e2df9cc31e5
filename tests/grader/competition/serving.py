"""A process that serves half a class: it joins people, submits for them, and grades whatever waits.

    python tests/grader/competition/serving.py URL ROUND_ID SHARED_ID NAME

SHARED_ID: somebody whom the other process submits for too. Prints "ready" and waits for a line; does its work
and prints what was taken, as JSON; waits for another line and prints the board it shows.
"""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from grader.competition import CompetitionError, Database, GradingQueue, Limits, Store
from tests.grader.competition.samples import generation, report

LIMITS = Limits(submissions_per_round_per_minute=24, joins_per_round_per_minute=12)
N_TRIES = 12


def graded(code: str, challenge: str, seed: int) -> tuple[dict[str, Any], float]:
    """A score that the text decides, after a moment in which the other process may grade it too."""
    time.sleep(0.01)
    return report(len(code) % 100), 0.01


def main() -> None:
    url, round_id, shared_id, name = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    store = Store(Database(url), LIMITS)
    queue = GradingQueue(store, ThreadPoolExecutor(4), slots=4, grade=graded)
    store.rounds.get(round_id)  # connected
    print("ready", flush=True)
    sys.stdin.readline()
    joined: list[int] = []
    taken: list[int] = []

    def try_all(number: int) -> None:
        try:
            who = store.participants.join(round_id, f"{name} {number}")[0]
            joined.append(who.id)
        except CompetitionError:
            who = None
        for participant_id in (shared_id, *((who.id,) if who else ())):
            for attempt in range(2):
                code = f"def {name}{number}{attempt}(): ...\n" + "#" * (7 * number)
                try:
                    made = generation(f"{name}{number}{attempt}", code=code)
                    taken.append(store.submissions.add(participant_id, made).id)
                except CompetitionError:
                    continue
            queue.pick_up(round_id)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(try_all, range(N_TRIES)))
    assert queue.wait(60)
    print(json.dumps({"joined": joined, "taken": taken}), flush=True)
    sys.stdin.readline()
    queue.pick_up(round_id)
    assert queue.wait(60)
    board = [[row.place, row.nickname, row.value] for row in store.boards.board(round_id)]
    print(json.dumps(board), flush=True)
    store.close()


if __name__ == "__main__":
    main()
