"""One team of threads for all engines: a pass over the weights uses every core, one pass at a time."""

import threading
from collections.abc import Callable
from functools import cache
from typing import Any

from wse_backend.machine import n_cores


class ThreadTeam:
    """Runs one function on all its threads at once, the caller's thread among them.

    The function must release the GIL, or the threads would wait for each other for ever. Calls from
    several threads take turns in the order of their arrival.
    """

    def __init__(self, n_threads: int) -> None:
        self.n_threads = n_threads
        self._turn = _FairLock()
        self._job: tuple[Callable[..., None], tuple[Any, ...]] | None = None
        self._go = [threading.Semaphore(0) for _ in range(n_threads - 1)]
        self._done = threading.Semaphore(0)
        for number in range(1, n_threads):
            name = f"wse-pass-{number}"
            threading.Thread(target=self._work, args=(number,), name=name, daemon=True).start()

    def run(self, function: Callable[..., None], *args: Any) -> None:
        """Call `function(thread, n_threads, *args)` on every thread; return when all have."""
        with self._turn:
            self._job = function, args
            for go in self._go:
                go.release()
            function(0, self.n_threads, *args)
            for _ in self._go:
                self._done.acquire()
            self._job = None  # do not keep the arrays of an engine that is closed next

    def _work(self, number: int) -> None:
        go = self._go[number - 1]
        while True:
            go.acquire()
            assert self._job is not None
            function, args = self._job
            function(number, self.n_threads, *args)
            del function, args
            self._done.release()


class _FairLock:
    """A lock that is taken in the order of arrival, so that one engine's passes cannot starve another's."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._next_ticket = 0
        self._serving = 0

    def __enter__(self) -> None:
        with self._condition:
            ticket = self._next_ticket
            self._next_ticket += 1
            self._condition.wait_for(lambda: self._serving == ticket)

    def __exit__(self, *exc: object) -> None:
        with self._condition:
            self._serving += 1
            self._condition.notify_all()


_making = threading.Lock()


def shared_team() -> ThreadTeam:
    """The process's team, one thread per core; made at its first use."""
    with _making:  # `cache` alone would let two threads make one each
        return _team()


@cache
def _team() -> ThreadTeam:
    return ThreadTeam(n_cores())
