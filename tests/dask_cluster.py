"""A real Dask cluster on this machine: a scheduler and workers, each a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]


@contextmanager
def dask(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of Dask's own command line."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-m", "dask", *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def running_scheduler() -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The process of a scheduler without workers, and its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ("--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
    with dask("scheduler", *options) as process:
        yield process, f"tcp://127.0.0.1:{port}"


@contextmanager
def scheduler() -> Iterator[str]:
    """The address of a scheduler without workers."""
    with running_scheduler() as (_, address):
        yield address


def worker(address: str) -> AbstractContextManager[subprocess.Popen[bytes]]:
    options = ("--nthreads", "2", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1")
    return dask("worker", address, *options)
