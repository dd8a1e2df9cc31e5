"""Trials on more than one machine: a Dask cluster as an executor.

`dask` and `distributed` are optional (requirements-cluster.txt). Every worker makes its own engine and its
own sandbox; a trial travels as plain values and comes back as one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from typing import Any

from moa_core.errors import NoWorkers

CONNECT_S = 10.0
EMPTY_S = 30.0  # so long a cluster may be without any worker before waiting for it ends
RETRIES = 2  # of a trial whose worker died under it


class ClusterExecutor(Executor):
    """A Dask cluster's workers as an executor; its client is the caller's to close.

    A task whose worker dies is given to another one, by the scheduler. `check` raises when nobody is left.
    """

    def __init__(self, client: Any, empty_s: float = EMPTY_S) -> None:
        self._client = client
        self._executor = client.get_executor(pure=False, retries=RETRIES)
        self._empty_s = empty_s
        self._seen_at = time.monotonic()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Give one call to the cluster."""
        future: Future[Any] = self._executor.submit(fn, *args, **kwargs)
        return future

    def check(self) -> None:
        """Raise NoWorkers when the scheduler is away, or has had no worker for a while."""
        if self._client.status != "running":
            raise NoWorkers(f"the scheduler went away (its connection is {self._client.status})")
        if self._client.scheduler_info(n_workers=-1)["workers"]:
            self._seen_at = time.monotonic()
        elif time.monotonic() - self._seen_at > self._empty_s:
            raise NoWorkers(
                f"the cluster has had no worker for {self._empty_s:g} s; start one with `dask worker ADDRESS`"
            )

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Nothing to do: the cluster stays for others."""


@contextmanager
def cluster(
    address: str, empty_s: float = EMPTY_S, connect_s: float = CONNECT_S
) -> Iterator[ClusterExecutor]:
    """The cluster whose scheduler listens at `address` (tcp://host:port), as an executor.

    Raises NoWorkers when it does not answer, or when Dask is not installed.
    """
    try:
        from distributed import Client
    except ImportError as exc:
        raise NoWorkers("Dask is not installed here; `pip install -r requirements-cluster.txt`") from exc
    try:
        client: Any = Client(address, timeout=connect_s, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as exc:
        raise NoWorkers(f"no scheduler answers at {address}: {exc or type(exc).__name__}") from exc
    try:
        yield ClusterExecutor(client, empty_s)
    finally:
        client.close()
