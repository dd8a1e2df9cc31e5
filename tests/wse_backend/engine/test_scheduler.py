"""Sharing one engine: nobody is stalled, starved or promised memory that is not there."""

import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from wse_backend import Chunk, Completion, Engine, OutOfMemory, QueueFull, SamplingParams
from wse_backend.engine import scheduler
from wse_backend.engine.kv_cache import block_bytes
from wse_backend.engine.scheduler import RequestHandle
from wse_backend.weights.gguf_file import open_gguf

LIMIT_S = 120


def ask(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


class Watcher:
    """Notes the order of what happens to several requests."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Chunk]] = []
        self._changed = threading.Condition()

    def listen(self, name: str) -> Callable[[Chunk], None]:
        def on_chunk(chunk: Chunk) -> None:
            with self._changed:
                self.events.append((name, chunk))
                self._changed.notify_all()

        return on_chunk

    def wait_until(self, is_met: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(is_met, timeout=120)

    def ended(self) -> list[str]:
        """Names of finished requests, in the order in which they finished."""
        return [
            name for name, chunk in self.events if chunk.completion is not None or chunk.error is not None
        ]

    def completion(self, name: str) -> Completion:
        return next(
            chunk.completion for at, chunk in self.events if at == name and chunk.completion is not None
        )


@pytest.fixture(scope="module")
def engine(smollm2_path: Path) -> Iterator[Engine]:
    engine = Engine.load(smollm2_path)
    yield engine
    engine.close()


def test_a_long_prompt_does_not_stall_a_running_answer(engine: Engine) -> None:
    watcher = Watcher()
    params = SamplingParams(temperature=0, max_tokens=800)  # greedy, this story fills any limit
    answer = engine.submit(ask("Write a very long story."), params, watcher.listen("answer"))
    watcher.wait_until(lambda: len(watcher.events) >= 3)
    long_prompt = ask("Read this. " * 500 + "Now say yes.")
    engine.submit(long_prompt, SamplingParams(temperature=0, max_tokens=2), watcher.listen("long"))
    watcher.wait_until(lambda: "long" in watcher.ended())
    answer.cancel()
    watcher.wait_until(lambda: "answer" in watcher.ended())
    first_of_long = next(index for index, (name, _) in enumerate(watcher.events) if name == "long")
    meanwhile = sum(name == "answer" for name, _ in watcher.events[3:first_of_long])
    passes = watcher.completion("long").timing.prefill.passes
    assert passes > 5  # the prompt was cut into chunks
    assert meanwhile > 0.8 * passes  # and nearly each pass also gave the running answer its token


def test_whoever_floods_the_engine_does_not_starve_the_others(engine: Engine) -> None:
    watcher = Watcher()
    params = SamplingParams(temperature=0, max_tokens=6)
    for n in range(40):
        engine.submit(ask(f"Say {n}."), params, watcher.listen("flood"), owner="flood")
    engine.submit(ask("Say hello."), params, watcher.listen("guest"), owner="guest")
    watcher.wait_until(lambda: len(watcher.ended()) == 41)
    assert watcher.ended().index("guest") < 36  # 16 run when it comes; it takes one of the next places


def test_many_listeners_are_told_of_several_tokens_at_once_and_miss_none(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "SAY_INTERVAL_S", LIMIT_S)
    watcher, names = Watcher(), [f"{n}" for n in range(scheduler.FEW_RUNNING + 1)]
    params = SamplingParams(temperature=0, max_tokens=12)
    for name in names:
        engine.submit(ask(f"Write a story about the number {name}."), params, watcher.listen(name))
    watcher.wait_until(lambda: len(watcher.ended()) == len(names))
    for name in names:
        told = [chunk for at, chunk in watcher.events if at == name]
        completion = watcher.completion(name)
        assert "".join(chunk.text for chunk in told) == completion.text
        assert [token for chunk in told for token in chunk.token_ids] == completion.token_ids
        assert len(told) < len(completion.token_ids)


def test_the_queue_is_bounded_and_tells_the_position(smollm2_path: Path) -> None:
    gguf = open_gguf(smollm2_path)
    engine = Engine("tiny queue", gguf, kv_cache_bytes=9 * block_bytes(gguf), max_waiting=2)
    watcher = Watcher()
    params = SamplingParams(temperature=0, max_tokens=100)  # 8 of the 9 blocks each: they run one by one
    try:
        running = engine.submit(ask("Count up."), params, watcher.listen("running"))
        watcher.wait_until(lambda: len(watcher.events) > 0)
        waiting = [engine.submit(ask("Count up."), params, watcher.listen("waiting")) for _ in range(2)]
        assert [running.queue_position, *(one.queue_position for one in waiting)] == [0, 1, 2]
        with pytest.raises(QueueFull) as refused:
            engine.submit(ask("Count up."), params)
        assert (refused.value.waiting, refused.value.limit) == (2, 2)
        waiting[0].cancel()
        watcher.wait_until(lambda: "waiting" in watcher.ended())
        assert watcher.completion("waiting").finish_reason == "cancelled"
        watcher.wait_until(lambda: len(watcher.ended()) == 3)  # the other one had its turn after all
        assert engine.is_idle
    finally:
        engine.close()


def test_the_place_in_the_queue_is_that_of_the_turns_and_the_wait_is_measured(smollm2_path: Path) -> None:
    """Each answer stops at its first token until the test lets it end, so every moment can be looked at."""
    gguf = open_gguf(smollm2_path)
    engine = Engine("turns", gguf, kv_cache_bytes=9 * block_bytes(gguf))  # one at a time, as above
    params = SamplingParams(temperature=0, max_tokens=96)
    began: queue.SimpleQueue[str] = queue.SimpleQueue()
    gate = threading.Semaphore(0)

    def ask_as(owner: str) -> RequestHandle:
        seen: list[Chunk] = []

        def listen(chunk: Chunk) -> None:
            seen.append(chunk)
            if len(seen) == 1:
                began.put(owner)
                gate.acquire()

        return engine.submit(ask("Count up."), params, listen, owner=owner)

    try:
        running = ask_as("a")
        assert began.get(timeout=LIMIT_S) == "a"
        mine = [ask_as("a") for _ in range(5)]
        guest = ask_as("b")
        assert [guest.queue_position, *(one.queue_position for one in mine)] == [1, 2, 3, 4, 5, 6]
        assert engine.n_requests == (1, 6)
        assert guest.expected_wait_s is None  # nothing was measured yet
        order = []
        for each in (running, guest, *mine[:2]):
            each.cancel()
            gate.release()
            order.append(began.get(timeout=LIMIT_S))
        assert order == ["b", "a", "a", "a"]
        told = [mine[3].expected_wait_s, mine[4].expected_wait_s]
        assert [mine[3].queue_position, mine[4].queue_position] == [1, 2]
        assert told[0] is not None
        assert told[1] == pytest.approx(2 * told[0], rel=0.5)
    finally:
        gate.release(100)
        engine.close()


def test_admission_waits_for_cache_blocks_instead_of_growing(smollm2_path: Path) -> None:
    gguf = open_gguf(smollm2_path)
    engine = Engine("small cache", gguf, kv_cache_bytes=20 * block_bytes(gguf))
    params = SamplingParams(temperature=0, max_tokens=60)  # 6 blocks each: three at a time
    watcher = Watcher()
    try:
        for n in range(6):
            engine.submit(ask(f"Count up from {n}."), params, watcher.listen(str(n)))
        watcher.wait_until(lambda: len(watcher.ended()) == 6)
        assert all(watcher.completion(str(n)).finish_reason in ("stop", "length") for n in range(6))
        first_end = next(at for at, (_, chunk) in enumerate(watcher.events) if chunk.completion is not None)
        assert "5" not in [name for name, _ in watcher.events[:first_end]]  # the last had to wait for one
        assert engine._transformer.pool.n_used == 0  # everything was given back
    finally:
        engine.close()


def test_an_idle_engine_gives_its_cache_back_and_answers_the_same(smollm2_path: Path) -> None:
    gguf = open_gguf(smollm2_path)
    engine = Engine("short memory", gguf, 200 * block_bytes(gguf), keep_idle_s=0.2)
    question = ask("Is this remembered? " + "It is rather long. " * 12)
    params = SamplingParams(temperature=0, max_tokens=8)
    try:
        first = engine.generate(question, params)
        threading.Event().wait(1.5)
        again = engine.generate(question, params)
    finally:
        engine.close()
    assert first.usage.prompt_tokens > 64
    assert again.usage.cached_tokens == 0
    assert again.token_ids == first.token_ids


def test_logits_that_could_never_fit_are_refused_with_both_numbers(smollm2_path: Path) -> None:
    gguf = open_gguf(smollm2_path)
    engine = Engine("small cache", gguf, kv_cache_bytes=4 * block_bytes(gguf))
    try:
        assert engine.n_ctx == 64
        with pytest.raises(OutOfMemory) as refused:
            engine._scheduler.run_alone(lambda slot, blocks: None, 100)
        assert refused.value.needed_bytes == 7 * block_bytes(gguf)
        assert refused.value.available_bytes == 4 * block_bytes(gguf)
    finally:
        engine.close()
