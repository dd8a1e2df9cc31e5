"""An async run on a thread of its own: ticks while it is silent, and nothing left of it after a stop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from pages.state.ticking import ticking


async def numbers() -> AsyncIterator[int]:
    for number in range(3):
        yield number


async def silence() -> AsyncIterator[int]:
    await asyncio.Event().wait()
    yield 0


def run_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "moa-run"]


def test_items_come_in_order() -> None:
    with ticking(numbers) as items:
        assert [item for item in items if item is not None] == [0, 1, 2]


def test_a_silent_run_ticks() -> None:
    with ticking(silence, tick_s=0.01) as items:
        assert [next(items), next(items)] == [None, None]


def test_leaving_early_closes_the_run_and_its_thread() -> None:
    closed = threading.Event()

    async def endless() -> AsyncIterator[int]:
        try:
            while True:
                yield 1
                await asyncio.sleep(0)
        finally:
            closed.set()

    with ticking(endless) as items:
        next(items)
    assert closed.is_set()
    assert run_threads() == []


def test_what_the_run_raises_is_raised_in_the_callers_thread() -> None:
    async def broken() -> AsyncIterator[int]:
        yield 1
        raise LookupError("lost")

    with ticking(broken) as items, pytest.raises(LookupError, match="lost"):
        list(items)
    assert run_threads() == []
