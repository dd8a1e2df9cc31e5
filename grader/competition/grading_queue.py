"""Grades submissions fairly: whoever sends many waits for their own, not everybody for them."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future
from typing import Any

from grader.competition.errors import StoreError
from grader.competition.records import GradingJob
from grader.competition.store import Store
from grader.errors import GraderError
from grader.grading.grade import grade

_log = logging.getLogger(__name__)

Grade = Callable[[str, str, int], tuple[dict[str, Any], float]]


def grade_text(code: str, challenge: str, seed: int) -> tuple[dict[str, Any], float]:
    """The report on `code` as plain data, and the seconds it took; can be sent to another machine."""
    began = time.perf_counter()
    report = grade(code, challenge, seed).to_dict()
    return report, time.perf_counter() - began


class GradingQueue:
    """A fair queue in front of an executor. Thread-safe; one per process and store.

    Every participant has a line of their own. The lines take turns, and of one line at most one submission
    is graded at a time; at most `slots` are graded at a time in all. What the executor does not finish stays
    without a grade in the store, where `pick_up` finds it, after a restart too.
    """

    def __init__(self, store: Store, executor: Executor, slots: int = 2, grade: Grade = grade_text) -> None:
        """executor: a local pool, or a cluster's; it is the caller's to shut down."""
        self._store = store
        self._executor = executor
        self._slots = slots
        self._grade = grade
        self._lock = threading.Lock()
        self._lines: dict[int, deque[GradingJob]] = {}  # participants in the order of their turns
        self._busy: set[int] = set()
        self._known: set[int] = set()  # submissions in a line or being graded
        self._failed: dict[int, str] = {}
        self._ready: deque[GradingJob] = deque()  # to be handed to the executor
        self._is_starting = False  # whether a thread is handing them over
        self._idle = threading.Condition(self._lock)

    def pick_up(self, round_id: int | None = None) -> int:
        """Queue every submission that has no grade yet; returns how many were new. Raises StoreError."""
        return self.take(self._store.submissions.waiting(round_id))

    def regrade(self, round_id: int) -> int:
        """Queue every submission of the round; each new grade supersedes the last. Raises StoreError."""
        return self.take(self._store.submissions.waiting(round_id, again=True))

    def take(self, jobs: Iterable[GradingJob]) -> int:
        """Queue the jobs that are not queued yet; returns how many."""
        n_taken = 0
        with self._lock:
            for job in jobs:
                if job.submission_id not in self._known:
                    self._known.add(job.submission_id)
                    self._lines.setdefault(job.participant_id, deque()).append(job)
                    n_taken += 1
            started = self._due()
        self._start(started)
        return n_taken

    def ahead_of(self, submission_id: int) -> int | None:
        """How many submissions of the same participant are graded before this one; None: not queued."""
        with self._lock:
            if submission_id not in self._known:
                return None
            for line in self._lines.values():
                for place, job in enumerate(line):
                    if job.submission_id == submission_id:
                        return place
        return 0

    def problem(self, submission_id: int) -> str | None:
        """Why the last try to grade it failed on our side; None when it did not."""
        with self._lock:
            return self._failed.get(submission_id)

    @property
    def n_queued(self) -> int:
        """Submissions in the lines and being graded."""
        with self._lock:
            return len(self._known)

    def wait(self, timeout_s: float) -> bool:
        """Wait until nothing is queued; False when that took too long."""
        with self._idle:
            return self._idle.wait_for(lambda: not self._known, timeout_s)

    def _due(self) -> list[GradingJob]:
        """Take what may start now out of the lines, one line after another. Called with the lock held."""
        started: list[GradingJob] = []
        for participant_id in list(self._lines):
            if len(self._busy) >= self._slots:
                break
            if participant_id in self._busy:
                continue
            line = self._lines.pop(participant_id)
            started.append(line.popleft())
            self._busy.add(participant_id)
            if line:
                self._lines[participant_id] = line
        return started

    def _start(self, jobs: list[GradingJob]) -> None:
        """Hand jobs to the executor, one thread at a time.

        A job may end while it is handed over (the executor is gone, or works at once) and let the next one
        start: that one is left to the thread that is here already, so nothing ever calls itself.
        """
        with self._lock:
            self._ready.extend(jobs)
            if self._is_starting:
                return
            self._is_starting = True
        while (job := self._next_ready()) is not None:
            try:
                future = self._executor.submit(self._grade, job.code, job.challenge, job.seed)
            except RuntimeError as exc:  # the executor was shut down
                self._finish(job, f"grading has stopped: {exc}")
                continue
            future.add_done_callback(lambda done, job=job: self._done(job, done))  # type: ignore[misc]

    def _next_ready(self) -> GradingJob | None:
        with self._lock:
            if self._ready:
                return self._ready.popleft()
            self._is_starting = False
            return None

    def _done(self, job: GradingJob, future: Future[tuple[dict[str, Any], float]]) -> None:
        """Runs on a thread of the executor: its outer edge."""
        problem = None
        try:
            report, duration_s = future.result()
            self._store.submissions.add_grade(job, report, duration_s)
        except (GraderError, StoreError) as exc:
            problem = str(exc)
        except Exception as exc:
            _log.exception("grading submission %d failed", job.submission_id)
            problem = f"an unexpected {type(exc).__name__} ended the grading"
        finally:
            self._finish(job, problem)

    def _finish(self, job: GradingJob, problem: str | None) -> None:
        with self._idle:
            self._busy.discard(job.participant_id)
            line = self._lines.pop(job.participant_id, None)
            if line:
                self._lines[job.participant_id] = line  # behind everybody who came meanwhile
            self._known.discard(job.submission_id)
            if problem is None:
                self._failed.pop(job.submission_id, None)
            else:
                self._failed[job.submission_id] = problem
            started = self._due()
            self._idle.notify_all()
        self._start(started)
