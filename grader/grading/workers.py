"""Where many grades are made: threads of this process, or the workers of a Dask cluster."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Timer
from typing import Any

from grader.errors import GraderError

CONNECT_S = 10.0
RETRIES = 2  # of a grade whose worker died under it
PATIENCE_S = 120.0  # so long a grade may be with the cluster; it takes seconds

_log = logging.getLogger(__name__)


class ClusterElseHere(Executor):
    """A cluster's workers; what the cluster loses or lets lie is done by threads of this process.

    So a round goes on when the scheduler dies in the middle of it, or has no workers. A scheduler that the
    client has given up is not asked again.
    """

    def __init__(self, client: Any, n_threads: int, patience_s: float = PATIENCE_S) -> None:
        self._there = client.get_executor(pure=False, retries=RETRIES)
        self._here = ThreadPoolExecutor(n_threads, thread_name_prefix="grading")
        self._patience_s = patience_s

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Give one call to the cluster. The result is a future that no death of the cluster cancels."""
        answer: Future[Any] = Future()

        def settle(done: Future[Any]) -> None:
            if done.cancelled():
                answer.cancel()
            elif (problem := done.exception()) is not None:
                answer.set_exception(problem)
            else:
                answer.set_result(done.result())

        def do_here(why: object) -> None:
            _log.warning("the cluster does not do a job (%s); it is done in this process", why)
            self._here.submit(fn, *args, **kwargs).add_done_callback(settle)

        try:
            there = self._there.submit(fn, *args, **kwargs)
        except Exception as exc:  # whatever a client that was closed says
            do_here(exc)
            return answer
        late = Timer(self._patience_s, there.cancel)
        late.daemon = True
        late.start()
        there.add_done_callback(lambda _: late.cancel())
        there.add_done_callback(lambda done: do_here("lost or late") if done.cancelled() else settle(done))
        return answer

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the threads; the cluster stays for others."""
        self._here.shutdown(wait, cancel_futures=cancel_futures)


@contextmanager
def workers(jobs: int, scheduler: str | None = None) -> Iterator[Executor]:
    """`jobs` threads, each with a sandbox process of its own at a time; or the cluster at `scheduler`.

    Every worker of a cluster has its own sandbox. Raises GraderError when no scheduler answers.
    """
    if scheduler is None:
        with ThreadPoolExecutor(max(1, jobs)) as pool:
            yield pool
        return
    client = connect(scheduler)
    try:
        yield client.get_executor(pure=False, retries=RETRIES)
    finally:
        client.close()


def connect(scheduler: str) -> Any:
    """A client of the scheduler (tcp://host:port); the caller closes it. Raises GraderError."""
    try:
        from distributed import Client
    except ImportError as exc:
        raise GraderError("Dask is not installed here; `pip install -r requirements-cluster.txt`") from exc
    try:
        return Client(scheduler, timeout=CONNECT_S, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as exc:
        raise GraderError(f"no scheduler answers at {scheduler}: {exc or type(exc).__name__}") from exc
