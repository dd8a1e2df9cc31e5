"""The lock that keeps the order of those who wait."""

from __future__ import annotations

import threading
import time

import pytest

from grader.competition.fair_lock import FairLock


def test_the_lock_is_handed_on_in_order() -> None:
    lock, order = FairLock(), list[int]()

    def work(number: int) -> None:
        with lock:
            order.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    with lock:
        for waiting, thread in enumerate(threads, start=1):
            thread.start()
            while len(lock._waiting) < waiting:
                time.sleep(0.001)
    for thread in threads:
        thread.join(10)
    assert order == list(range(8))


def test_only_one_is_inside_at_a_time() -> None:
    lock, inside, seen = FairLock(), [0], list[int]()

    def work() -> None:
        for _ in range(50):
            with lock:
                inside[0] += 1
                seen.append(inside[0])
                time.sleep(0)
                inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert seen == [1] * 300


def test_an_error_inside_hands_the_lock_on() -> None:
    lock = FairLock()
    with pytest.raises(KeyError), lock:
        raise KeyError
    with lock:
        assert lock._is_held
    assert not lock._is_held
