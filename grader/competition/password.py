"""Passwords and codes: compared in constant time, and not at all for a while after wrong tries."""

from __future__ import annotations

import hashlib
import hmac
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

FREE_TRIES = 5
FIRST_WAIT_S = 30.0
LONGEST_WAIT_S = 900.0
MAX_KEYS = 10_000


@dataclass
class _Tries:
    wrong: int = 0
    shut_until_s: float = 0.0


class AttemptLimiter:
    """Counts wrong tries per key, for all browser sessions together. Thread-safe.

    After five wrong tries the door stays shut for 30 s, then for twice as long with every further wrong try,
    at most 15 min. While it is shut nothing is compared, not even the right password.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._tries: dict[str, _Tries] = {}

    def wait_s(self, key: str = "") -> float:
        """Seconds until the next try; 0 when one may be made now."""
        with self._lock:
            tries = self._tries.get(key)
            return max(0.0, tries.shut_until_s - self._clock()) if tries else 0.0

    def attempt(self, is_right: Callable[[], bool], key: str = "") -> bool:
        """Whether the try is right; False without asking while the door is shut.

        The try is counted before it is compared, so tries at the same time cannot slip through.
        """
        with self._lock:
            tries = self._tries.setdefault(key, _Tries())
            if tries.shut_until_s > self._clock():
                return False
            tries.wrong += 1
            if tries.wrong >= FREE_TRIES:
                wait_s = FIRST_WAIT_S * 2 ** min(tries.wrong - FREE_TRIES, 10)
                tries.shut_until_s = self._clock() + min(wait_s, LONGEST_WAIT_S)
            self._forget_oldest()
        if not is_right():
            return False
        with self._lock:
            self._tries.pop(key, None)
        return True

    def _forget_oldest(self) -> None:
        """Keep the table small; what is forgotten first are the keys that were tried first."""
        while len(self._tries) > MAX_KEYS:
            self._tries.pop(next(iter(self._tries)))


def is_same_password(given: str, expected: str) -> bool:
    """Compares digests, so neither the length nor the first difference shows in the time it takes."""
    digests = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in (given, expected)]
    return bool(expected) and hmac.compare_digest(*digests)
