"""Load and faults of the competition's store, on SQLite and on a PostgreSQL server of its own.

    python bench/competition.py [--participants 100] [--each 5] [--threads 20] [--kills 50]

Load: every participant submits several times from a pool of threads, with all rules on; the table shows the
time of storing one submission, from the call until it is acknowledged (on the disk). Kills: a process that
submits without a pause is ended by SIGKILL at a random moment, again and again, on the same database; what it
had acknowledged must be there afterwards. Exits with 1 when something was lost, doubled, or too slow.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # before this folder, which has a grader.py

from grader.competition import GradingJob, Participant, Store
from tests.grader.competition.killing import check_after_kill, kill_while_arriving
from tests.grader.competition.postgres import NoServer, Postgres
from tests.grader.competition.samples import generation, report

TARGET_P95_MS = 100


@contextmanager
def databases(folder: Path) -> Iterator[dict[str, str]]:
    """The URLs of empty databases by name; PostgreSQL is left out where no server can be started."""
    urls = {"SQLite": f"sqlite:///{folder / 'load.sqlite3'}"}
    try:
        server = Postgres(folder / "pg")
        server.start()
    except NoServer as exc:
        print(f"PostgreSQL left out: {exc}")
        yield urls
        return
    try:
        yield {**urls, "PostgreSQL": server.url}
    finally:
        server.stop()


def load(url: str, n_people: int, n_each: int, n_threads: int) -> tuple[list[float], list[str]]:
    """Milliseconds of storing each submission, and what was wrong afterwards."""
    store = Store.open(url)
    made = store.rounds.open(store.rounds.create("Load", "user_metrics", seed=1).id)
    with ThreadPoolExecutor(n_threads) as pool:
        joined = list(
            pool.map(lambda n: store.participants.join(made.id, f"Person {n:03}")[0], range(n_people))
        )
    random = Random(5)
    work = [(who, number) for number in range(n_each) for who in joined]
    random.shuffle(work)
    scores = {(who.id, number): round(random.uniform(0, 120), 2) for who, number in work}
    reply, config = "A reply of usual length. " * 160, f'{{"prompt": "{"x" * 6_000}"}}'
    stored: dict[tuple[int, int], int] = {}

    def submit(item: tuple[Participant, int]) -> float:
        who, number = item
        key = f"a{number}"
        began = time.perf_counter()
        done = store.submissions.add(who.id, generation(key, reply=reply, config=config))
        took_ms = (time.perf_counter() - began) * 1000
        stored[who.id, number] = done.id
        return took_ms

    with ThreadPoolExecutor(n_threads) as pool:
        times_ms = list(pool.map(submit, work))
    problems = check_load(store, made.id, stored, scores)
    store.close()
    return times_ms, problems


def check_load(
    store: Store,
    round_id: int,
    stored: dict[tuple[int, int], int],
    scores: dict[tuple[int, int], float],
) -> list[str]:
    """Everything is there once, and the board is what sorting by hand says."""
    problems = []
    rows = store.submissions.of_round(round_id)
    if sorted(row.id for row in rows) != sorted(stored.values()) or len(rows) != len(scores):
        problems.append(f"{len(scores)} sent, {len(rows)} stored")
    score_of = {stored[key]: score for key, score in scores.items()}
    for job in store.submissions.waiting(round_id):
        add_grade(store, job, score_of[job.submission_id])
    best: dict[int, tuple[float, int, int]] = {}
    for row in rows:
        mine = (-score_of[row.id], row.created_ms, row.id)
        best[row.participant_id] = min(best.get(row.participant_id, mine), mine)
    expected = sorted(best, key=lambda participant_id: best[participant_id])
    if [line.participant_id for line in store.boards.board(round_id)] != expected:
        problems.append("the board is wrong")
    return problems


def add_grade(store: Store, job: GradingJob, score: float) -> None:
    if not store.submissions.add_grade(job, report(score), 0.1):
        raise SystemExit("a grade was refused")


def kills(url: str, times: int) -> tuple[int, int, int]:
    """How many submissions were acknowledged, and how many of them are missing or damaged."""
    store = Store.open(url)
    made = store.rounds.open(store.rounds.create("Kills", "user_metrics").id)
    people = [store.participants.join(made.id, f"Killed {n}")[0].id for n in range(4)]
    with store.database.writing() as connection:
        connection.exec_driver_sql("DELETE FROM grades")
        connection.exec_driver_sql("DELETE FROM submissions")
    store.close()
    random = Random(7)
    acknowledged: dict[str, int] = {}
    n_missing = n_damaged = 0
    for _ in range(times):
        acknowledged |= kill_while_arriving(url, people, random).submissions
        missing, damaged = check_after_kill(url, acknowledged)
        n_missing, n_damaged = max(n_missing, missing), max(n_damaged, damaged)
    return len(acknowledged), n_missing, n_damaged


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--participants", type=int, default=100)
    parser.add_argument("--each", type=int, default=5, help="submissions per participant")
    parser.add_argument("--threads", type=int, default=20)
    parser.add_argument("--kills", type=int, default=50)
    options = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory(prefix="moa-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with databases(folder) as urls:
            print(f"{options.participants} participants, {options.each} submissions each, ", end="")
            print(f"{options.threads} threads; SIGKILL {options.kills} times\n")
            print(
                "database    stored  median ms  p95 ms  worst ms  board  kills: acknowledged  lost  damaged"
            )
            for database, url in urls.items():
                times_ms, problems = load(url, options.participants, options.each, options.threads)
                p95_ms = statistics.quantiles(times_ms, n=20)[18]
                n_kept, n_lost, n_damaged = kills(url, options.kills)
                print(
                    f"{database:10}  {len(times_ms):6}  {statistics.median(times_ms):9.1f}  {p95_ms:6.1f}  "
                    f"{max(times_ms):8.1f}  {'; '.join(problems) or 'right':5}  {n_kept:19}  {n_lost:4}  "
                    f"{n_damaged:7}"
                )
                failed |= bool(problems) or p95_ms > TARGET_P95_MS or n_lost > 0 or n_damaged > 0
    if failed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
