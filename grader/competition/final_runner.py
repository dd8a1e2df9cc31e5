"""Runs finals in the background: one process at a time per final; every run is stored when it has ended."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

from grader.competition.records import Final, FinalJob, FinalState, SetupRun
from grader.competition.store import Store
from grader.errors import GraderError
from grader.grading.reply import read_and_grade

_log = logging.getLogger(__name__)

RunSetup = Callable[[FinalJob, Callable[[], bool]], SetupRun]
"""Runs a job's setup on its seed. The second argument says whether to stop early; then the result is dropped.

It stands here as a function because this package knows nothing of agents: whoever knows both hands it in.
"""
GradeReply = Callable[[str, str, int], tuple[str, dict[str, Any]]]
TRIES = 3
LEASE_S, RETRY_S = 30.0, 2.0


def grade_final(reply: str, challenge: str, seed: int) -> tuple[str, dict[str, Any]]:
    """The code in a reply and the report on it, with cases drawn from `seed`."""
    graded = read_and_grade(reply, challenge, seed)
    return graded.extraction.code, graded.report.to_dict()


class FinalRunner:
    """A thread that runs every final that is to be run. One per process and store."""

    def __init__(
        self,
        store: Store,
        run: RunSetup,
        slots: int = 2,
        grade: GradeReply = grade_final,
        lease_s: float = LEASE_S,
    ) -> None:
        """slots: runs at a time. lease_s: so long a final stays with a process that gives no sign of life."""
        self._store = store
        self._run = run
        self._slots = slots
        self._grade = grade
        self._lease_s = lease_s
        self._owner = uuid.uuid4().hex
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_wanted = False
        self._closing = threading.Event()

    def wake(self) -> None:
        """Look for finals to run, on a thread of its own; harmless when it is at it already."""
        with self._lock:
            self._is_wanted = True
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="final", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Stop; what has not ended is run by whoever looks next."""
        self._closing.set()
        thread = self._thread
        if thread is not None:
            thread.join()

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait until there is nothing left to run; False when that took too long."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout_s)
        return self._thread is None

    def _work(self) -> None:
        """The thread's main loop, and its outer edge: what fails on our side is tried again."""
        while not self._closing.is_set():
            with self._lock:
                self._is_wanted = False
            try:
                is_idle = self._look()
            except GraderError as exc:  # the database, or the sandbox
                _log.warning("a final waits: %s", exc)
                is_idle = False
            except Exception:
                _log.exception("a final stopped")
                is_idle = True
            if not is_idle:
                self._closing.wait(min(RETRY_S, self._lease_s / 2))
                continue
            with self._lock:
                if not self._is_wanted:
                    self._thread = None
                    return
        with self._lock:
            self._thread = None

    def _look(self) -> bool:
        """Run what can be run now; whether nothing is left, not with another process either."""
        finals = self._store.finals.running()
        for found in finals:
            if self._store.finals.take_lease(found.id, self._owner, self._lease_s) is not None:
                state = self._play(found)
                self._store.finals.end(found.id, self._owner, state)
        return not finals

    def _play(self, found: Final) -> FinalState:
        """Run what is missing, until it is done, cancelled, taken over, or would cost too much."""
        stop = threading.Event()
        jobs = self._store.finals.pending(found.id)
        spent = self._store.finals.progress(found.id).dollars
        reserved: dict[Future[float], float] = {}
        state: FinalState = "done"
        renewed_s = time.monotonic()
        with ThreadPoolExecutor(self._slots, thread_name_prefix="final") as pool:
            while jobs or reserved:
                while jobs and len(reserved) < self._slots and state == "done":
                    expected = found.cost(jobs[0].expected_prompt_tokens, jobs[0].expected_tokens)
                    total = spent + sum(reserved.values()) + expected
                    if found.cost_cap is not None and total > found.cost_cap:
                        state = "capped"
                        break
                    job = jobs.pop(0)
                    reserved[pool.submit(self._one, job, found, stop)] = expected
                if state != "done" and not reserved:
                    break
                ended, _ = wait(reserved, min(2.0, self._lease_s / 3), FIRST_COMPLETED)
                for future in ended:
                    del reserved[future]
                    spent += future.result()
                if ended and time.monotonic() - renewed_s < self._lease_s / 3:
                    continue
                renewed_s = time.monotonic()
                said = self._store.finals.take_lease(found.id, self._owner, self._lease_s)
                if said != "running" or self._closing.is_set():
                    stop.set()
                    state = "running"  # what it is now, somebody else has said
        return state

    def _one(self, job: FinalJob, found: Final, stop: threading.Event) -> float:
        """One run, its grade, and its row; returns what it cost."""
        cost = 0.0
        for number in range(1, TRIES + 1):
            run = self._try(job, stop)
            cost += found.cost(run.prompt_tokens, run.tokens)
            if stop.is_set():
                return cost
            if not run.problem or number == TRIES:
                break
            stop.wait(min(RETRY_S, self._lease_s / 3))
        code, report = self._grade(run.reply, job.challenge, job.seed)
        self._store.finals.record(job, self._owner, run, code, report)
        return cost

    def _try(self, job: FinalJob, stop: threading.Event) -> SetupRun:
        """A setup's failure is a result; it must not end the final of the others."""
        try:
            return self._run(job, stop.is_set)
        except Exception as exc:
            _log.exception("a run of a final failed")
            return SetupRun("", 0, 0, 0.0, f"an unexpected {type(exc).__name__} ended the run")
