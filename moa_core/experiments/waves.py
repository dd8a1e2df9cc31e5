"""Runs trials on an executor, as many at once as it takes, and hands each on as it ends.

All trials of a wave begin together. In this process that means: their prompts reach the engine at once, are
computed once where they are alike, and every pass over the weights serves all of them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import nullcontext

from moa_core.errors import ExperimentError
from moa_core.experiments.trial import Assignment, Task, Trial, failed_trial, run_trial

MAX_THREADS = 64  # trials at once in this process; each is a thread that mostly waits
LOOK_S = 1.0  # how often a waiting wave looks whether anybody is still working on it


def run_wave(
    assignments: Sequence[Assignment], task: Task, executor: Executor | None = None
) -> Iterator[Trial]:
    """Run all assignments; yields each trial as it ends, exactly one per assignment.

    executor: None: threads of this process around its engines. Closing the iterator stops what still runs.
    Raises NoWorkers when an executor says that nobody works any more (see `cluster`).
    """
    if not assignments:
        return
    if executor is None:
        own = ThreadPoolExecutor(min(len(assignments), MAX_THREADS), thread_name_prefix="trial")
    else:
        own = None
        _check_portable(task, executor)
    with own or nullcontext():
        yield from _run(assignments, task, executor or own)  # type: ignore[arg-type]


def _run(assignments: Sequence[Assignment], task: Task, executor: Executor) -> Iterator[Trial]:
    stop = threading.Event() if isinstance(executor, ThreadPoolExecutor) else None
    waiting: dict[Future[Trial], Assignment] = {}
    try:
        for assignment in assignments:
            waiting[executor.submit(run_trial, assignment, task, stop)] = assignment
        while waiting:
            ended, _ = wait(waiting, timeout=LOOK_S, return_when=FIRST_COMPLETED)
            for future in ended:
                yield _trial_of(future, waiting.pop(future), task)
            if (check := getattr(executor, "check", None)) is not None:
                check()
    finally:
        if stop is not None:
            stop.set()
        for future in waiting:
            future.cancel()


def _trial_of(future: Future[Trial], assignment: Assignment, task: Task) -> Trial:
    """The trial, or one that says why the executor brought none back."""
    try:
        return future.result()
    except Exception as exc:  # a worker that died, a value that cannot travel: only this trial is lost
        return failed_trial(assignment, task, f"no worker finished it: {type(exc).__name__}: {exc}")


def _check_portable(task: Task, executor: Executor) -> None:
    """Providers hold engines, connections and keys: outside of this process they are made anew."""
    if not isinstance(executor, ThreadPoolExecutor) and not callable(task.providers):
        raise ExperimentError(
            "providers of this process cannot travel to other processes; hand in a module-level function "
            "that makes them instead, which every worker calls once"
        )
