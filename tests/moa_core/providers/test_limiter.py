"""The queue that all sessions of one key share, across threads and event loops."""

import asyncio
import threading

import pytest

from moa_core.errors import RateLimited
from moa_core.providers.limiter import Limiters


@pytest.fixture
def limiter(monkeypatch):
    monkeypatch.setattr("moa_core.providers.limiter.POLL_S", 600.0)  # nobody is saved by looking again
    return Limiters().for_key("http://x", "secret-key", "m")


def left(count, reset_s):
    return {
        "x-ratelimit-remaining-requests-minute": str(count),
        "x-ratelimit-reset-requests-minute": str(reset_s),
    }


def test_same_key_at_the_same_service_shares_one_limiter_and_is_not_kept():
    limiters = Limiters()

    one = limiters.for_key("http://x", "k1", "m")
    assert limiters.for_key("http://x", "k1", "m") is one
    assert limiters.for_key("http://x", "k2", "m") is not one
    assert limiters.for_key("http://y", "k1", "m") is not one
    assert limiters.for_key("http://x", "k1", "n") is not one
    assert "k1" not in repr(vars(limiters))


async def test_without_limits_everybody_goes_at_once(limiter):
    await asyncio.gather(*(limiter.acquire(1.0) for _ in range(500)))

    assert limiter.expected_wait_s() == 0.0


async def test_refusal_halves_what_goes_at_once_and_success_adds_one(limiter):
    for _ in range(4):
        await limiter.acquire(1.0)
    limiter.release(was_refused=True)  # 4 were too many: 2 may go

    third = asyncio.create_task(limiter.acquire(1.0))
    await asyncio.sleep(0)
    limiter.release(was_refused=True)  # 3 were: 1 may go
    await asyncio.sleep(0.01)
    assert not third.done()
    assert limiter.expected_wait_s() > 0.0

    limiter.release()
    limiter.release()
    await asyncio.wait_for(third, 5)


async def test_first_come_first_served(limiter):
    await limiter.acquire(1.0)
    await limiter.acquire(1.0)
    limiter.release(was_refused=True)
    order = []

    async def wait(name):
        await limiter.acquire(60.0)
        order.append(name)
        await asyncio.sleep(0)
        limiter.release(was_refused=True)  # keeps it at one

    waiting = [asyncio.create_task(wait(name)) for name in "abcd"]
    await asyncio.sleep(0)
    limiter.release(was_refused=True)
    await asyncio.gather(*waiting)

    assert order == list("abcd")


async def test_block_is_waited_for_and_expected(limiter):
    limiter.block(0.2)
    assert 0.1 < limiter.expected_wait_s() <= 0.2
    loop = asyncio.get_running_loop()
    began = loop.time()

    await limiter.acquire(5.0)

    assert loop.time() - began >= 0.19


async def test_block_longer_than_allowed_is_an_error_with_the_seconds(limiter):
    limiter.block(100.0)

    with pytest.raises(RateLimited) as caught:
        await limiter.acquire(60.0)

    assert 90 < caught.value.retry_after_s <= 100


async def test_allowance_of_the_headers_is_counted_down_before_answers_come(limiter):
    limiter.learn(left(2, 0.3))
    await limiter.acquire(1.0)
    await limiter.acquire(1.0)

    assert limiter.expected_wait_s() > 0.2
    await limiter.acquire(1.0)  # after the window

    assert limiter.expected_wait_s() == 0.0


async def test_older_answer_does_not_give_allowance_back(limiter):
    limiter.learn(left(1, 60))
    await limiter.acquire(1.0)
    limiter.learn(left(5, 60))  # counted by the server before our last request

    assert limiter.expected_wait_s() > 50


async def test_cancelled_waiter_lets_the_next_one_go(limiter):
    await limiter.acquire(1.0)
    await limiter.acquire(1.0)
    limiter.release(was_refused=True)
    first, second = (asyncio.create_task(limiter.acquire(60.0)) for _ in range(2))
    await asyncio.sleep(0)

    first.cancel()
    await asyncio.wait([first])
    limiter.release()
    await asyncio.wait_for(second, 5)


def test_sessions_on_other_threads_take_turns(limiter):
    running, most, lock = [0], [0], threading.Lock()

    async def session():
        for _ in range(20):
            await limiter.acquire(60.0)
            with lock:
                running[0] += 1
                most[0] = max(most[0], running[0])
            await asyncio.sleep(0.001)
            with lock:
                running[0] -= 1
            limiter.release(was_refused=True)  # keeps it at one

    async def narrow():
        await limiter.acquire(1.0)
        limiter.release(was_refused=True)

    asyncio.run(narrow())
    threads = [threading.Thread(target=lambda: asyncio.run(session())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert not any(thread.is_alive() for thread in threads)
    assert most[0] == 1


async def test_everybody_in_the_queue_goes_when_a_block_ends(limiter):
    limiter.block(0.1)

    await asyncio.wait_for(asyncio.gather(*(limiter.acquire(5.0) for _ in range(20))), 10)

    assert limiter.expected_wait_s() == 0.0
