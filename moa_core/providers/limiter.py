"""Keeps all sessions that share a key within what it is allowed: they queue here instead of failing there.

Services count per key and model, so there is one limiter for each such pair. It starts without limits and
learns them: from the response's x-ratelimit headers, and from refusals (429), which halve the number of
requests at once (each success adds one again, and a minute without a refusal forgets it). Sessions live on
threads and event loops of their own, so the state is under a lock and waiters are woken across loops.
"""

import asyncio
import hashlib
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from moa_core.errors import RateLimited
from moa_core.providers.retry import RateWindow, rate_windows, span

FORGET_S = 60.0  # without a refusal for so long, the number at once is unlimited again
POLL_S = 1.0  # a waiter looks again this often, should a wake-up be lost with its loop


@dataclass(eq=False, slots=True)
class _Ticket:
    """A request in the queue."""

    loop: asyncio.AbstractEventLoop
    turn: asyncio.Event

    def wake(self) -> None:
        try:
            self.loop.call_soon_threadsafe(self.turn.set)
        except RuntimeError:
            if not self.loop.is_closed():
                raise


@dataclass(slots=True)
class _Window:
    """What is left of an allowance, and when (monotonic seconds) it is full again."""

    left: float
    reset_at: float
    told: RateWindow


@dataclass(eq=False)
class KeyLimiter:
    """The queue for one model with one key at one service. Thread-safe."""

    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _queue: deque[_Ticket] = field(default_factory=deque, repr=False)
    _in_flight: int = 0
    _max_in_flight: float = float("inf")
    _refused_at: float = 0.0
    _blocked_until: float = 0.0
    _requests: dict[str, _Window] = field(default_factory=dict, repr=False)
    _latency_s: float = 1.0

    def expected_wait_s(self) -> float:
        """Seconds a request that joins now is expected to wait; 0 when it can go at once."""
        with self._lock:
            now = time.monotonic()
            if not self._queue and self._delay_s(now) == 0.0:
                return 0.0
            wait_s = max(0.0, self._opens_at(now) - now)
            if self._in_flight >= self._max_in_flight or self._queue:
                rounds = (len(self._queue) + 1) / max(1.0, min(self._max_in_flight, 64.0))
                wait_s += rounds * self._latency_s
            return wait_s

    async def acquire(self, max_wait_s: float) -> None:
        """Wait for this request's turn, first come first served. `release` must follow.

        Raises RateLimited when the key is known to be closed for longer than `max_wait_s`.
        """
        ticket = _Ticket(asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            self._queue.append(ticket)
        try:
            while (delay_s := self._try_take(ticket, max_wait_s)) > 0.0:
                ticket.turn.clear()
                try:
                    async with asyncio.timeout(min(delay_s, POLL_S)):
                        await ticket.turn.wait()
                except TimeoutError:
                    continue
        finally:
            with self._lock:
                if ticket in self._queue:
                    self._queue.remove(ticket)
            self._wake_first()

    def release(self, *, was_refused: bool = False, latency_s: float | None = None) -> None:
        """Give the turn back; a refusal (429) halves what may be sent at once, a success adds one."""
        with self._lock:
            if was_refused:
                self._max_in_flight = max(1.0, min(self._in_flight, self._max_in_flight) // 2)
                self._refused_at = time.monotonic()
            elif self._max_in_flight != float("inf"):
                self._max_in_flight += 1.0
            self._in_flight -= 1
            if latency_s is not None:
                self._latency_s += 0.3 * (latency_s - self._latency_s)
        self._wake_first()

    def block(self, wait_s: float) -> None:
        """Send nothing for `wait_s` seconds: the service asked for it."""
        with self._lock:
            self._blocked_until = max(self._blocked_until, time.monotonic() + wait_s)

    def learn(self, headers: Mapping[str, str]) -> None:
        """Take over what a response's x-ratelimit headers say is left."""
        with self._lock:
            now = time.monotonic()
            for told in rate_windows(headers):
                name, left = told.name, told.left
                known = self._requests.get(name)
                is_same = known is not None and known.reset_at > now
                if known is not None and is_same and name.startswith("requests"):
                    left = min(left, known.left)  # requests on their way are not in the server's count yet
                self._requests[name] = _Window(left, now + told.reset_s, told)

    def allowances(self) -> list[RateWindow]:
        """What is known to be left of the key's allowances for this model, as of now."""
        with self._lock:
            now = time.monotonic()
            return [
                replace(window.told, left=window.left, reset_s=window.reset_at - now)
                for window in self._requests.values()
                if window.reset_at > now
            ]

    def _try_take(self, ticket: _Ticket, max_wait_s: float) -> float:
        """0.0 when the turn was taken, else seconds after which to look again."""
        with self._lock:
            now = time.monotonic()
            if self._queue[0] is not ticket:
                return POLL_S
            closed_s = self._opens_at(now) - now
            if closed_s > max_wait_s:
                used_up = [w.told.label for w in self._requests.values() if w.left <= 0 and w.reset_at > now]
                of_what = f" of {', '.join(used_up)}" if used_up else ""
                raise RateLimited(
                    f"the key's allowance{of_what} is used up for another {span(closed_s)}", closed_s
                )
            delay_s = self._delay_s(now)
            if delay_s > 0.0:
                return delay_s
            self._queue.popleft()
            self._in_flight += 1
            for name, window in self._requests.items():
                if name.startswith("requests"):
                    window.left -= 1
            return 0.0

    def _delay_s(self, now: float) -> float:
        """Seconds until the first in the queue may go; 0 when it may go now. Called under the lock."""
        if now - self._refused_at > FORGET_S:
            self._max_in_flight = float("inf")
        closed_s = self._opens_at(now) - now
        if closed_s > 0.0:
            return closed_s
        return POLL_S if self._in_flight >= self._max_in_flight else 0.0

    def _opens_at(self, now: float) -> float:
        for name in [name for name, window in self._requests.items() if window.reset_at <= now]:
            del self._requests[name]
        closed = [window.reset_at for window in self._requests.values() if window.left <= 0]
        return max([self._blocked_until, *closed])

    def _wake_first(self) -> None:
        with self._lock:
            if self._queue:
                self._queue[0].wake()


class Limiters:
    """One `KeyLimiter` per service, key and model; keys are only kept as hashes. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_hash: dict[str, KeyLimiter] = {}

    def for_key(self, base_url: str, api_key: str, model: str) -> KeyLimiter:
        """The limiter that all users of this key share for this model at this service."""
        digest = hashlib.sha256(f"{base_url}\n{api_key}\n{model}".encode()).hexdigest()
        with self._lock:
            return self._by_hash.setdefault(digest, KeyLimiter())


# The one piece of state that every session of this process shares on purpose: a class on one key must queue
# together.
SHARED_LIMITERS = Limiters()
