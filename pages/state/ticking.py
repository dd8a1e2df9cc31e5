"""An async run consumed on a thread of its own, so that the script thread is never stuck waiting for a token.

Streamlit can only stop a script inside an `st` call. A prefill, a compilation or a slow server may take
seconds without an event; the `None` ticks let the page draw something (and thereby be stopped) meanwhile.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, closing, contextmanager, suppress
from typing import Generic, TypeVar

T = TypeVar("T")

TICK_S = 0.1
JOIN_S = 5.0


class _Done:
    """Marks the end of the stream; carries what went wrong, if anything did."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


class _Run(Generic[T]):
    """One async iterator on its own event loop and thread."""

    def __init__(self, make: Callable[[], AsyncIterator[T]]) -> None:
        self._items: queue.SimpleQueue[T | _Done] = queue.SimpleQueue()
        self._loop = asyncio.new_event_loop()
        self._task = self._loop.create_task(self._pump(make))
        self._thread = threading.Thread(target=self._work, name="moa-run", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        error: BaseException | None = None
        try:
            self._loop.run_until_complete(self._task)
        except asyncio.CancelledError:
            pass
        except Exception as exc:  # the thread's outer edge: `items` raises it on the script thread
            error = exc
        finally:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()
            self._items.put(_Done(error))

    async def _pump(self, make: Callable[[], AsyncIterator[T]]) -> None:
        stream = make()
        async with aclosing(stream):  # type: ignore[type-var]
            async for item in stream:
                self._items.put(item)

    def items(self, tick_s: float) -> Iterator[T | None]:
        while True:
            try:
                item = self._items.get(timeout=tick_s)
            except queue.Empty:
                yield None
                continue
            if isinstance(item, _Done):
                if item.error is not None:
                    raise item.error
                return
            yield item

    def stop(self) -> None:
        """Cancel what is still running and wait until it is gone."""
        if self._thread.is_alive():
            with suppress(RuntimeError):  # the loop closed in between: the run is over
                self._loop.call_soon_threadsafe(self._task.cancel)
            self._thread.join(JOIN_S)


@contextmanager
def ticking(make: Callable[[], AsyncIterator[T]], tick_s: float = TICK_S) -> Iterator[Iterator[T | None]]:
    """The items of `make()`, and a None whenever none came for `tick_s` seconds.

    Leaving the block, for whatever reason, cancels the run and waits until nothing of it is left.
    """
    run = _Run(make)
    try:
        with closing(run.items(tick_s)) as items:  # type: ignore[type-var]
            yield items
    finally:
        run.stop()
