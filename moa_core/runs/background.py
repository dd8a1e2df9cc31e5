"""An async generator consumed on a thread of its own, for code that has no event loop: a page, a script."""

import asyncio
import queue
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, closing, contextmanager, suppress
from typing import Generic, TypeVar

T = TypeVar("T")


class _EndOfItems:
    """Marks the end of the items; carries what went wrong, if anything did."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


class _Background(Generic[T]):
    """One generator on its own event loop and thread. Raises OSError when no event loop can be made."""

    def __init__(self, make: Callable[[], AsyncGenerator[T, None]]) -> None:
        self._items: queue.SimpleQueue[T | _EndOfItems] = queue.SimpleQueue()
        self._loop = asyncio.new_event_loop()  # here, so that a failure is raised where somebody waits
        self._task = self._loop.create_task(self._pump(make))
        self._thread = threading.Thread(target=self._work, name="moa-run", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # no more threads
            self._task.cancel()
            self._close_loop()
            raise

    def _work(self) -> None:
        error: BaseException | None = None
        try:
            self._loop.run_until_complete(self._task)
        except asyncio.CancelledError:
            pass
        except BaseException as exc:  # the thread's outer edge: `items` raises it on the caller's thread
            error = exc
        finally:
            self._close_loop()
            self._items.put(_EndOfItems(error))

    def _close_loop(self) -> None:
        with suppress(asyncio.CancelledError):
            if not self._task.done():
                self._loop.run_until_complete(self._task)
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    async def _pump(self, make: Callable[[], AsyncGenerator[T, None]]) -> None:
        async with aclosing(make()) as items:
            async for item in items:
                self._items.put(item)

    def items(self, tick_s: float | None) -> Iterator[T | None]:
        while True:
            try:
                item = self._items.get(timeout=tick_s)
            except queue.Empty:
                yield None
                continue
            if isinstance(item, _EndOfItems):
                if item.error is not None:
                    raise item.error
                return
            yield item

    def stop(self, join_s: float | None) -> None:
        """Cancel what is still running and wait until it is gone, at most `join_s` seconds."""
        if self._thread.is_alive():
            with suppress(RuntimeError):  # the loop closed in between: the generator is over
                self._loop.call_soon_threadsafe(self._task.cancel)
            self._thread.join(join_s)


@contextmanager
def in_background(
    make: Callable[[], AsyncGenerator[T, None]], tick_s: float | None = None, join_s: float | None = None
) -> Iterator[Iterator[T | None]]:
    """The items of `make()`; with `tick_s` also a None whenever none came for so many seconds.

    Leaving the block, for whatever reason, cancels the generator and waits until nothing of it is left (at
    most `join_s` seconds, if given).
    """
    background = _Background(make)
    try:
        with closing(background.items(tick_s)) as items:  # type: ignore[type-var]
            yield items
    finally:
        background.stop(join_s)
