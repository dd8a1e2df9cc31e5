"""Where many grades are made: threads of this process, or the workers of a Dask cluster."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from grader.errors import GraderError

CONNECT_S = 10.0
RETRIES = 2  # of a grade whose worker died under it


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
