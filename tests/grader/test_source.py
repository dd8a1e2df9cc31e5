"""Many visitors' replies are parsed at the same time."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from grader.source import parse

SOURCE = "x = " + "+".join(["f(a[1], b)"] * 200)


class Yielding:
    """Garbage whose collection lets another thread run, wherever it happens."""

    def __init__(self) -> None:
        self.me = self

    def __del__(self) -> None:
        time.sleep(0)


@pytest.fixture
def busy_collector() -> Iterator[None]:
    thresholds, interval = gc.get_threshold(), sys.getswitchinterval()
    gc.set_threshold(50)
    sys.setswitchinterval(1e-5)
    yield
    gc.set_threshold(*thresholds)
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("busy_collector")
def test_threads_that_parse_at_the_same_time_do_not_fail_each_other() -> None:
    """Without the lock, 3.11.7 says "AST constructor recursion depth mismatch" within these rounds."""

    def read(_: int) -> str:
        Yielding()
        return type(parse(SOURCE).body[0]).__name__

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(read, range(300))) == {"Assign"}
