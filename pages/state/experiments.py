"""Experiments that belong to the server: each on a thread of its own, every trial kept as it ends."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from moa_core.errors import ExperimentError, MoAError
from moa_core.experiments import Experiment, ExperimentStore
from moa_core.experiments.cluster import cluster
from moa_core.experiments.store import DONE, FAILED, RUNNING, STOPPED, Record

MAX_TRIALS = 64  # of one experiment at a time; more wait
MAX_RUNNING = 2  # experiments at a time on this server: each sends many calls at once to the same engines

_log = logging.getLogger(__name__)

Make = Callable[[Executor], Experiment[Any]]
"""Makes the experiment, given the executor of its trials."""


class StopWanted(ExperimentError):
    """Somebody asked the experiment to end."""


@dataclass
class Job:
    """An experiment under way in this process."""

    stop_wanted: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    is_forgotten: bool = False


class Experiments:
    """Starts, stops and remembers experiments; what has ended is in the store. Thread-safe."""

    def __init__(self, store: ExperimentStore) -> None:
        self.store = store
        self._jobs: dict[int, Job] = {}
        self._lock = threading.Lock()

    def start(
        self,
        kind: str,
        title: str,
        owner: str,
        request: Mapping[str, Any],
        planned: int,
        make: Make,
        scheduler: str | None = None,
    ) -> int:
        """Begin an experiment; returns its id. scheduler: of a Dask cluster, None: threads of this process.

        Raises ExperimentError when too many are running.
        """
        with self._lock:
            if sum(not job.ended.is_set() for job in self._jobs.values()) >= MAX_RUNNING:
                raise ExperimentError(
                    f"{MAX_RUNNING} experiments are running on this server, which is as many as it takes; "
                    "wait for one to end"
                )
            key = self.store.begin(kind, title, request, planned, owner)
            job = self._jobs[key] = Job()
        work = threading.Thread(target=self._work, args=(key, job, make, scheduler), daemon=True)
        work.start()
        return key

    def stop(self, key: int) -> None:
        """Ask an experiment to end; its finished trials stay. Harmless when it has ended."""
        job = self._jobs.get(key)
        if job is not None:
            job.stop_wanted.set()
        elif self.store.experiment(key).state == RUNNING:
            self.store.end(key, STOPPED, "the server was restarted while it ran")

    def forget(self, owner: str) -> None:
        """Delete everything of one owner; what runs is stopped first, and deleted when it has ended."""
        for record in self.store.experiments(owner):
            with self._lock:
                job = self._jobs.get(record.id)
                if job is not None and not job.ended.is_set():
                    job.is_forgotten = True
                    job.stop_wanted.set()
                    continue
            self.store.delete(record.id)

    def is_alive(self, key: int) -> bool:
        """Whether the experiment runs in this process."""
        job = self._jobs.get(key)
        return job is not None and not job.ended.is_set()

    def wait(self, key: int, timeout_s: float) -> bool:
        """Wait for the end of an experiment of this process; False when that took too long."""
        job = self._jobs.get(key)
        return job is None or job.ended.wait(timeout_s)

    def state(self, record: Record) -> str:
        """How a record stands: one that nobody works on any more was stopped by a restart."""
        if record.state == RUNNING and not self.is_alive(record.id):
            return STOPPED
        return record.state

    def _work(self, key: int, job: Job, make: Make, scheduler: str | None) -> None:
        try:
            with _executor(job.stop_wanted, scheduler) as executor:
                self._run(key, make(executor))
        except StopWanted:
            self.store.end(key, STOPPED, "stopped; what had ended is kept")
        except MoAError as exc:
            self.store.end(key, FAILED, str(exc))
        except Exception as exc:  # the thread's outer edge: the page says it
            _log.exception("experiment %d failed unexpectedly", key)
            self.store.end(
                key, FAILED, f"an unexpected {type(exc).__name__} ended it; the log has the details"
            )
        finally:
            with self._lock:
                job.ended.set()
            if job.is_forgotten:
                self.store.delete(key)

    def _run(self, key: int, experiment: Experiment[Any]) -> None:
        try:
            for trial in experiment:
                self.store.add(key, trial)
            self.store.end(key, DONE, result=experiment.result().to_dict())
        finally:
            experiment.close()


class _Threads(ThreadPoolExecutor):
    """Threads of this process; whoever waits for them hears of a wanted stop through `check`."""

    def __init__(self, stop_wanted: threading.Event) -> None:
        super().__init__(MAX_TRIALS, thread_name_prefix="trial")
        self._stop_wanted = stop_wanted

    def check(self) -> None:
        if self._stop_wanted.is_set():
            raise StopWanted("stopped")


class _Watched(Executor):
    """A cluster's executor with the same."""

    def __init__(self, inner: Any, stop_wanted: threading.Event) -> None:
        self._inner, self._stop_wanted = inner, stop_wanted

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = self._inner.submit(fn, *args, **kwargs)
        return future

    def check(self) -> None:
        if self._stop_wanted.is_set():
            raise StopWanted("stopped")
        self._inner.check()


@contextmanager
def _executor(stop_wanted: threading.Event, scheduler: str | None) -> Iterator[Executor]:
    if scheduler is None:
        with _Threads(stop_wanted) as threads:
            yield threads
        return
    with cluster(scheduler) as workers:
        yield _Watched(workers, stop_wanted)
