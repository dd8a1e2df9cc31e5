"""Whole runs on real weights: SmolLM2-135M-Instruct, in this process."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from moa_core import (
    Agent,
    AgentDelta,
    AgentFailed,
    AgentFinished,
    MoAConfig,
    RunFailed,
    RunFinished,
    SummaryDelta,
    run,
    run_sync,
)
from moa_core.errors import ContextExceeded, ModelNotFound
from moa_core.providers import CallRequest, Wafer
from moa_core.runs.plan import plan
from wse_backend import EnginePool, SamplingParams, models
from wse_backend.engine.buffers import MAX_LOGIT_ROWS

MODEL = "smollm2-135m"


@pytest.fixture(scope="module")
def pool() -> Iterator[EnginePool]:
    pool = EnginePool()
    yield pool
    pool.close()


@pytest.fixture
def wafer(pool):
    return Wafer(pool)


def small(**settings) -> MoAConfig:
    """Two agents in two layers and a summarizer, few tokens each, greedy."""

    def agents(prompt):
        return [Agent(name, MODEL, prompt, 0.0, 24) for name in ("Direct", "Careful")]

    layers = [agents("Answer in one sentence."), agents("Improve these answers: {helper_response}")]
    return MoAConfig(layers, Agent("Summarizer", MODEL, "Combine: {helper_response}", 0.0, 32), **settings)


def of(events, kind):
    return [event for event in events if isinstance(event, kind)]


def test_agents_and_summarizer_answer_from_real_weights(play, wafer):
    events = play(small(), "What is the capital of France?", wafer)

    last = events[-1]
    assert isinstance(last, RunFinished)
    assert "Paris" in "".join(event.text for event in of(events, AgentFinished) if event.layer == 1)
    assert last.answer == "".join(event.text for event in of(events, SummaryDelta))
    assert len(of(events, AgentDelta)) > 20
    frame = last.trace.to_dataframe()
    assert list(frame["agent"]) == ["Direct", "Careful", "Direct", "Careful", "Summarizer"]
    assert (frame["prompt_tokens"] > 10).all()
    assert (frame["completion_tokens"] > 0).all()
    assert set(frame["provider"]) == {"wafer"}


def test_trace_keeps_the_engines_own_timing(wafer):
    last = list(run_sync(small(), "What is the capital of France?", wafer))[-1]

    timing = last.trace.calls[-1].timing
    assert timing.decode.layers_ms.shape == (30, 5)
    assert timing.decode.layers_ms.sum() > 0


def test_same_question_gives_the_same_answer(wafer):
    config = small(seed=5)
    warm = [Agent("Warm", MODEL, "Be creative.", 1.0, 24)]
    config = MoAConfig([warm], config.summarizer, seed=5)

    answers = {list(run_sync(config, "Tell me a story.", wafer))[-1].answer for _ in range(2)}

    assert len(answers) == 1


async def test_prompt_longer_than_the_context_is_refused_with_both_numbers(wafer):
    request = CallRequest(MODEL, ({"role": "user", "content": "word " * 20_000},), max_tokens=8)

    with pytest.raises(ContextExceeded, match=r"8,?192"):
        async for _ in wafer.stream(request):
            pass


def test_run_that_cannot_fit_is_refused_before_the_first_token(wafer):
    events = list(run_sync(small(), "word " * 20_000, wafer))

    assert isinstance(events[-1], RunFailed)
    assert "8,192" in events[-1].message
    assert events[-1].trace.calls == ()


def test_values_that_servers_take_are_taken_in_process(wafer):
    agent = Agent("s", MODEL, "", 1.0, 4, top_p=0.0, seed=-3)

    assert isinstance(list(run_sync(MoAConfig(summarizer=agent), "Hi", wafer))[-1], RunFinished)


def test_a_structured_answer_of_a_small_model_is_valid_at_once(wafer):
    """A model of 135 million parameters writes no JSON by itself; held to a grammar, nothing else."""
    properties = {"fruit": {"type": "string"}, "score": {"type": "integer", "minimum": 0, "maximum": 10}}
    schema = {"type": "object", "properties": properties, "required": ["fruit", "score"]}
    agents = [Agent(f"a{n}", MODEL, "You judge.", 1.0, 60, response_schema=schema) for n in range(3)]
    config = MoAConfig([agents], Agent("s", MODEL, "", 0.0, 8), seed=5)

    events = list(run_sync(config, "Name a fruit.", wafer))

    finished = of(events, AgentFinished)
    assert [event.call.attempts for event in finished] == [1, 1, 1]
    for event in finished:
        answer = json.loads(event.text)
        assert set(answer) >= {"fruit", "score"}
        assert 0 <= answer["score"] <= 10


def test_a_model_that_does_not_think_gets_no_room_to_answer_longer(wafer):
    agent = Agent("s", MODEL, "", 0.0, 12, reasoning_effort="high", thinking_budget=500)

    (call,) = list(run_sync(MoAConfig(summarizer=agent), "Tell a long story.", wafer))[-1].trace.calls

    assert (call.completion_tokens, call.finish_reason) == (12, "length")


async def test_plan_counts_with_the_models_own_tokenizer(wafer):
    made = await plan(small(), "What is the capital of France?", wafer)

    finished = [event async for event in run(small(), "What is the capital of France?", wafer)][-1]
    assert all(call.is_exact and call.fits for call in made.calls)
    planned = [call.prompt_tokens for call in made.calls[:2]]
    assert planned == [call.prompt_tokens for call in finished.trace.calls[:2]]


def test_unknown_model_is_left_out_with_the_known_ones(wafer):
    agents = [Agent("a", "no-such-model"), Agent("b", MODEL, "", 0.0, 8)]

    events = list(run_sync(MoAConfig([agents], Agent("s", MODEL, "", 0.0, 8)), "Hi", wafer))

    (failed,) = of(events, AgentFailed)
    assert isinstance(failed.error, ModelNotFound)
    assert MODEL in failed.message
    assert isinstance(events[-1], RunFinished)


def test_broken_file_says_what_is_wrong(wafer, tmp_path):
    file = tmp_path / "broken.gguf"
    file.write_bytes(b"GGUF" + b"\0" * 100)

    last = list(run_sync(MoAConfig(summarizer=Agent("s", str(file))), "Hi", wafer))[-1]

    assert isinstance(last, RunFailed)
    assert "broken.gguf" in last.message


def test_closing_early_frees_the_engine_and_leaves_no_thread(wafer, pool):
    before = set(threading.enumerate())
    long = MoAConfig([[Agent("a", MODEL, "", 1.0, 2000)]], Agent("s", MODEL))
    events = run_sync(long, "Tell me everything about the history of the world.", wafer)
    next(event for event in events if isinstance(event, AgentDelta))

    events.close()

    assert {thread for thread in threading.enumerate() if thread.name.startswith(("moa", "load"))} <= before
    engine = pool.engine(MODEL)
    assert _becomes_idle(engine)


def _becomes_idle(engine) -> bool:
    """Whether the cancelled request leaves the batch soon: a pass over it takes milliseconds."""
    waiting = threading.Event()
    for _ in range(500):
        if engine.is_idle:
            return True
        waiting.wait(0.02)
    return False


async def test_a_model_unloaded_between_two_calls_is_loaded_again(smollm2_path: Path) -> None:
    pool = EnginePool(smollm2_path.parent)
    request = CallRequest(MODEL, ({"role": "user", "content": "Say hello."},), temperature=0, max_tokens=4)
    provider = Wafer(pool)
    try:
        stale = pool.engine(MODEL)

        class Slow(EnginePool):
            """Hands out an engine that another model's load has just closed, once."""

            def engine(self, name_or_path, progress=None):
                stale.close()
                provider._pool = pool
                return stale

        provider._pool = Slow(smollm2_path.parent)
        text = "".join([delta.text async for delta in provider.stream(request)])
    finally:
        pool.close()
    assert text


async def test_who_leaves_interrupts_nobodys_download(
    smollm2_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The only one who waits goes; who comes then finds the same download further on."""
    left, may_end = threading.Event(), threading.Event()
    n_begun = 0

    def fetch(card: object, folder: Path, progress: Callable[[str, int, int], None]) -> Path:
        nonlocal n_begun
        n_begun += 1
        progress("download", 1, 4)
        assert left.wait(60)
        progress("download", 3, 4)  # here it would hear that it is to stop
        assert may_end.wait(60)
        return smollm2_path

    monkeypatch.setattr(models, "fetch_card", fetch)
    pool = EnginePool(smollm2_path.parent)
    try:
        said: asyncio.Queue[str] = asyncio.Queue()
        first = asyncio.create_task(Wafer(pool).context(MODEL, lambda wait: said.put_nowait(wait.reason)))
        assert await said.get() == f"{MODEL}: download 25%"
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        left.set()
        second = asyncio.create_task(Wafer(pool).context(MODEL, lambda wait: said.put_nowait(wait.reason)))
        while await said.get() != f"{MODEL}: download 75%":
            pass
        may_end.set()
        assert (await second).n_ctx is not None
    finally:
        pool.close()
    assert n_begun == 1


async def test_a_call_that_queues_says_which_number_it_has(smollm2_path: Path) -> None:
    pool = EnginePool(smollm2_path.parent)
    engine = pool.engine(MODEL)
    endless = [{"role": "user", "content": "Write a very long story."}]  # greedy, it fills any limit
    params = SamplingParams(temperature=0, max_tokens=250)  # so many fit into the cache together
    busy = [engine.submit(endless, params) for _ in range(MAX_LOGIT_ROWS)]  # all places of the batch
    while any(generation.queue_position for generation in busy):
        await asyncio.sleep(0.01)
    request = CallRequest(MODEL, ({"role": "user", "content": "Say hello."},), temperature=0, max_tokens=4)
    try:
        waits = []
        async for delta in Wafer(pool).stream(request):
            if delta.wait is not None and "queue" in delta.wait.reason:
                waits.append(delta.wait.reason)
                for generation in busy:
                    generation.cancel()
    finally:
        pool.close()
    assert f"in the queue for {MODEL}" in waits[0]
