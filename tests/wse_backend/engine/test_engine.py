"""The engine on real weights: exact, repeatable, streaming, cancellable, and clear about what it refuses."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.wse_backend.reference_transformer import mean_kl, reference_logits
from wse_backend import (
    Chunk,
    Completion,
    ContextOverflow,
    Engine,
    EngineClosed,
    InvalidMessages,
    SamplingParams,
)
from wse_backend.weights.gguf_file import open_gguf

TEXTS = (
    "The quick brown fox jumps over the lazy dog, and then it sleeps.",
    "def add(a, b):\n    return a + b\n\nprint(add(2, 3))",
    "Übung macht den Meister — 12345 🎉",
    "In 1969 the first people walked on the moon; 384,400 km away.",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
)


def ask(text: str, system: str = "You are a helpful assistant.") -> list[dict[str, str]]:
    return [{"role": "system", "content": system}, {"role": "user", "content": text}]


@pytest.fixture(scope="module")
def engine(smollm2_path: Path) -> Iterator[Engine]:
    engine = Engine.load(smollm2_path)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def qwen(qwen_path: Path) -> Iterator[Engine]:
    engine = Engine.load(qwen_path)
    yield engine
    engine.close()


GREEDY = SamplingParams(temperature=0, max_tokens=40)

# Greedy answers of llama-cpp-python 0.3.36 on the same files, same system prompt, repeat_penalty 1.
LLAMA_CPP_SMOLLM2 = {
    "What is the capital of France? Answer in one sentence.": "The capital of France is Paris.",
    "Write a Python function that adds two numbers.": (
        "```python\ndef add_two_numbers(num1, num2):\n    return num1 + num2\n```\n\n"
        "This function uses the built-in `add` function to add"
    ),
    "Count from one to ten.": "1. 1\n2. 2\n3. 3\n4. 4\n5. 5\n6. 6\n7. 7\n8. 8\n",
}
LLAMA_CPP_QWEN = {
    "What is the capital of France? Answer in one sentence.": "The capital of France is Paris.",
    "Count from one to ten.": (
        "Sure, here are the numbers from one to ten:\n\n1. One\n2. Two\n3. Three\n4. Four\n5. Five\n"
        "6. Six\n7. Seven\n8"
    ),
}


def test_llama_logits_agree_with_plain_float32(engine: Engine, smollm2_path: Path) -> None:
    texts = [engine.tokenize(text) for text in TEXTS]
    references = reference_logits(smollm2_path, texts)
    divergences = [mean_kl(ref, engine.logits(ids)) for ref, ids in zip(references, texts, strict=True)]
    assert np.mean(divergences) < 1e-5


@pytest.mark.slow
def test_qwen2_logits_agree_with_plain_float32(qwen: Engine, qwen_path: Path) -> None:
    texts = [qwen.tokenize(text) for text in TEXTS]
    references = reference_logits(qwen_path, texts)
    divergences = [mean_kl(ref, qwen.logits(ids)) for ref, ids in zip(references, texts, strict=True)]
    assert np.mean(divergences) < 1e-6  # its keys are cached as float32


@pytest.mark.parametrize("question", LLAMA_CPP_SMOLLM2)
def test_greedy_llama_answers_equal_llama_cpp(engine: Engine, question: str) -> None:
    assert engine.generate(ask(question), GREEDY).text == LLAMA_CPP_SMOLLM2[question]


@pytest.mark.parametrize("question", LLAMA_CPP_QWEN)
def test_greedy_qwen2_answers_equal_llama_cpp(qwen: Engine, question: str) -> None:
    assert qwen.generate(ask(question), GREEDY).text == LLAMA_CPP_QWEN[question]


def test_usage_and_finish_reason_match_what_was_generated(engine: Engine) -> None:
    done = engine.generate(ask("What is the capital of France? Answer in one sentence."), GREEDY)
    assert done.finish_reason == "stop"
    assert done.usage.prompt_tokens == 32  # llama-cpp-python 0.3.36 counts the same
    assert done.usage.completion_tokens == len(done.token_ids) == 7
    assert engine.detokenize(done.token_ids) == done.text
    cut = engine.generate(ask("Count from one to ten."), SamplingParams(temperature=0, max_tokens=5))
    assert (cut.finish_reason, len(cut.token_ids)) == ("length", 5)


def mixed_requests() -> list[tuple[list[dict[str, str]], SamplingParams]]:
    """Ten requests unlike each other: lengths, temperatures, seeds; two share most of their prompt."""
    story = "Once upon a time there was a teacher who asked many questions. " * 12
    prompts = ["Hi.", "Name three colours.", story + "What happens next?", story + "Who is it about?"]
    prompts += [f"Write a line about the number {n}." for n in range(6)]
    return [
        (
            ask(text),
            SamplingParams(temperature=0.3 * (n % 4), top_k=40 * (n % 2), max_tokens=10 + 3 * n, seed=n),
        )
        for n, text in enumerate(prompts)
    ]


def test_tokens_do_not_depend_on_the_batch_the_cache_or_the_chunks(
    smollm2_path: Path, engine: Engine
) -> None:
    requests = mixed_requests()
    fresh = Engine.load(smollm2_path)  # nothing cached, everything at once: prompts are cut into chunks
    try:
        together = fresh.generate_batch(requests)
        again = fresh.generate_batch(requests[::-1])[::-1]
    finally:
        fresh.close()
    alone = [engine.generate(messages, params) for messages, params in requests]
    tokens = [done.token_ids for done in alone]
    assert [done.token_ids for done in together] == tokens
    assert [done.token_ids for done in again] == tokens
    assert sum(done.usage.cached_tokens for done in again) > 100  # the second round did use the cache


def repetitive_requests() -> list[tuple[list[dict[str, str]], SamplingParams]]:
    """Ten requests whose answers say again what was said: drafts for them are often right, and often not."""
    code = "for name in names:\n    print(name)\nfor number in numbers:\n    print(number)\n" * 3
    prompts = [f"Repeat this exactly:\n{code}\n# {n}" for n in range(5)]
    prompts += [f"Count from {n} to forty, one number per line." for n in range(5)]
    return [
        (ask(text), SamplingParams(temperature=0.4 * (n % 3), max_tokens=24 + 7 * n, seed=n))
        for n, text in enumerate(prompts)
    ]


def test_tokens_are_the_same_with_drafts_and_without(smollm2_path: Path, engine: Engine) -> None:
    requests = repetitive_requests()
    plain = Engine.load(smollm2_path, is_speculative=False)
    try:
        expected = plain.generate_batch(requests)
    finally:
        plain.close()
    together = engine.generate_batch(requests)
    alone = [engine.generate(messages, params) for messages, params in requests]
    for found in (together, alone):
        assert [done.token_ids for done in found] == [done.token_ids for done in expected]
        assert [done.text for done in found] == [done.text for done in expected]
        assert [done.finish_reason for done in found] == [done.finish_reason for done in expected]
    drafted = sum(done.timing.decode.drafted for done in alone)
    accepted = sum(done.timing.decode.tokens - done.timing.decode.passes for done in alone)
    assert 0 < accepted < drafted  # some came true and some did not: both ways were gone
    assert all(done.timing.decode.drafted == 0 for done in expected)


def test_a_followup_finds_only_true_tokens_in_the_prefix_cache(smollm2_path: Path, engine: Engine) -> None:
    """Drafts that were wrong stood in the cache for a moment; what is found there later is what was said."""
    messages, params = repetitive_requests()[4]
    first = engine.generate(messages, params)
    assert first.timing.decode.drafted > 0
    followup = [*messages, {"role": "assistant", "content": first.text}, *ask("And backwards?")[1:]]
    warm = engine.generate(followup, GREEDY)
    assert warm.usage.cached_tokens > first.usage.prompt_tokens
    fresh = Engine.load(smollm2_path)
    try:
        assert fresh.generate(followup, GREEDY).token_ids == warm.token_ids
    finally:
        fresh.close()


@pytest.mark.parametrize("max_tokens", [1, 2, 3, 9, 17])
def test_drafts_never_overrun_the_limit(engine: Engine, max_tokens: int) -> None:
    question = ask("Repeat: " + "one two three four five six seven eight nine ten. " * 8)
    done = engine.generate(question, SamplingParams(temperature=0, max_tokens=max_tokens))
    assert (done.finish_reason, len(done.token_ids)) == ("length", max_tokens)


def test_logits_of_prefill_and_decode_have_the_same_bits(engine: Engine) -> None:
    ids = engine.tokenize("The engine computes each position once, whatever comes with it.")
    whole = engine.logits(ids)
    for n in (1, 5, len(ids) - 1):
        np.testing.assert_array_equal(engine.logits(ids[:n]), whole[:n])


def test_the_same_seed_repeats_and_another_one_differs(engine: Engine) -> None:
    question = ask("Tell me a story about a bird.")

    def answer(seed: int) -> list[int]:
        return engine.generate(question, SamplingParams(temperature=1.0, max_tokens=24, seed=seed)).token_ids

    assert answer(7) == answer(7)
    assert len({tuple(answer(seed)) for seed in range(5)}) > 1


def test_an_equal_prompt_is_taken_from_the_prefix_cache(engine: Engine) -> None:
    question = ask("Is this question asked twice? " + "It is rather long. " * 10)
    first = engine.generate(question, GREEDY)
    second = engine.generate(question, GREEDY)
    assert second.usage.cached_tokens >= first.usage.prompt_tokens - 16  # all whole blocks but the last
    assert second.token_ids == first.token_ids


def test_agents_asked_together_prefill_a_shared_prefix_once(smollm2_path: Path) -> None:
    shared = "The same long question goes to each of the agents. " * 8
    fresh = Engine.load(smollm2_path)
    is_held, may_go = threading.Event(), threading.Event()

    def hold(chunk: Chunk) -> None:  # until all have asked: none of them comes when the others are done
        is_held.set()
        may_go.wait(60)

    try:
        fresh.submit(ask("Hi."), SamplingParams(temperature=0, max_tokens=2), hold)
        assert is_held.wait(60)
        streams = [fresh.stream(ask(shared + tail), GREEDY) for tail in ("Agree.", "Disagree.", "Decide.")]
        may_go.set()
        completions = [list(stream)[-1].completion for stream in streams]
    finally:
        may_go.set()
        fresh.close()
    cached = [done.usage.cached_tokens for done in completions if done is not None]
    assert (len(cached), cached[0]) == (3, 0)
    assert min(cached[1:]) >= 64


def test_stream_yields_the_text_of_the_completion(engine: Engine) -> None:
    chunks = list(engine.stream(ask("Name two animals."), GREEDY))
    done = chunks[-1].completion
    assert done is not None
    assert "".join(chunk.text for chunk in chunks) == done.text
    assert [token for chunk in chunks for token in chunk.token_ids] == done.token_ids
    assert len(chunks) > 2


def test_stop_text_ends_the_answer_and_is_not_part_of_it(engine: Engine) -> None:
    whole = engine.generate(ask("Count from one to ten."), GREEDY).text
    params = SamplingParams(temperature=0, max_tokens=40, stop=("4.",))
    chunks = list(engine.stream(ask("Count from one to ten."), params))
    done = chunks[-1].completion
    assert done is not None
    assert (done.text, done.finish_reason) == (whole.split("4.")[0], "stop")
    assert "".join(chunk.text for chunk in chunks) == done.text


def test_closing_the_stream_cancels_and_frees_the_slot(engine: Engine) -> None:
    stream = engine.stream(ask("Write a very long story."), SamplingParams(max_tokens=2000, seed=1))
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    engine.generate(ask("Hi."), SamplingParams(max_tokens=2, seed=1))  # a pass later it is gone
    assert engine.is_idle


def test_closing_a_stream_before_its_first_token_cancels_it_too(engine: Engine) -> None:
    stream = engine.stream(ask("Write a very long story."), SamplingParams(max_tokens=2000, seed=1))
    stream.close()  # type: ignore[attr-defined]
    engine.generate(ask("Hi."), SamplingParams(max_tokens=2, seed=1))
    assert engine.is_idle
    assert list(stream) == []


def test_cancelling_ends_a_request_with_what_it_has(engine: Engine) -> None:
    seen: list[Completion] = []
    started, ended = threading.Event(), threading.Event()

    def on_chunk(chunk) -> None:
        started.set()
        if chunk.completion is not None:
            seen.append(chunk.completion)
            ended.set()

    generation = engine.submit(ask("Write a very long story."), SamplingParams(max_tokens=2000), on_chunk)
    assert started.wait(30)
    generation.cancel()
    assert ended.wait(30)
    assert seen[0].finish_reason == "cancelled"
    assert 0 < len(seen[0].token_ids) < 2000


def test_more_requests_than_slots_are_all_served(engine: Engine) -> None:
    params = SamplingParams(temperature=0, max_tokens=3)
    completions = engine.generate_batch([(ask(f"Say {n}."), params) for n in range(40)])
    assert [len(done.token_ids) for done in completions] == [3] * 40


def test_a_prompt_longer_than_the_context_is_refused_with_both_numbers(engine: Engine) -> None:
    with pytest.raises(ContextOverflow) as refused:
        engine.generate(ask("word " * 9000), GREEDY)
    assert refused.value.n_ctx == 8192
    assert refused.value.prompt_tokens > 9000
    assert "8192" in str(refused.value)
    assert str(refused.value.prompt_tokens) in str(refused.value)


def test_max_tokens_is_cut_to_what_the_context_holds(smollm2_path: Path) -> None:
    small = Engine("small", open_gguf(smollm2_path), kv_cache_bytes=4 * 368640)  # 4 blocks: 64 positions
    try:
        done = small.generate(ask("Write a very long story."), SamplingParams(temperature=0, max_tokens=500))
    finally:
        small.close()
    assert done.usage.prompt_tokens + done.usage.completion_tokens == small.n_ctx == 64
    assert done.finish_reason == "length"


@pytest.mark.parametrize("messages", [[], [{"role": "user"}], [{"role": "robot", "content": "x"}], "hello"])
def test_messages_of_the_wrong_shape_are_refused(engine: Engine, messages) -> None:
    with pytest.raises(InvalidMessages):
        engine.generate(messages, GREEDY)


@pytest.mark.parametrize("ids", [[], [-1], [49152]])
def test_logits_refuses_ids_outside_the_vocabulary(engine: Engine, ids: list[int]) -> None:
    with pytest.raises(ValueError, match="token id"):
        engine.logits(ids)


def test_timing_covers_every_layer_and_adds_up(engine: Engine) -> None:
    done = engine.generate(
        ask("Measure me: " + "one two three " * 40), SamplingParams(temperature=0, max_tokens=12)
    )
    prefill, decode = done.timing.prefill, done.timing.decode
    assert prefill.tokens == done.usage.prompt_tokens - done.usage.cached_tokens
    assert decode.tokens == len(done.token_ids) - 1
    assert decode.passes <= decode.tokens <= decode.passes + decode.drafted  # drafts come true or do not
    for phase in (prefill, decode):
        assert phase.layers_ms.shape == (30, 5)
        assert (phase.layers_ms > 0).all()
        inside_s = (phase.layers_ms.sum() + phase.head_ms) / 1e3
        assert 0 < inside_s <= phase.seconds * 1.001  # parts of the whole
    assert done.timing.first_token_s is not None
    assert done.timing.queue_s <= done.timing.first_token_s <= done.timing.total_s


def test_a_listener_that_fails_does_not_stop_the_others(engine: Engine) -> None:
    def fails(chunk) -> None:
        raise RuntimeError("a page went away")

    engine.submit(ask("Hi."), SamplingParams(max_tokens=50), fails)
    assert len(engine.generate(ask("Hi."), SamplingParams(temperature=0, max_tokens=4)).token_ids) == 4


def test_threads_share_one_engine(engine: Engine) -> None:
    def answer(n: int) -> list[int]:
        return engine.generate(ask(f"Say {n % 3}."), SamplingParams(temperature=0, max_tokens=4)).token_ids

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(answer, range(24)))
    assert answers == [answers[n % 3] for n in range(24)]


@pytest.mark.parametrize("stage", ["compile kernels", "regroup weights", "first pass"])
def test_a_progress_callback_that_raises_leaves_no_thread_behind(smollm2_path: Path, stage: str) -> None:
    def fails(found: str, done: int, total: int) -> None:
        if found == stage:
            raise RuntimeError("nobody waits for this model any more")

    with pytest.raises(RuntimeError, match="nobody waits"):
        Engine("abandoned", open_gguf(smollm2_path), 16 << 20, fails)
    assert "wse-abandoned" not in [thread.name for thread in threading.enumerate()]


def test_a_closed_engine_says_so(smollm2_path: Path) -> None:
    engine = Engine.load(smollm2_path)
    stream = engine.stream(ask("Write a very long story."), SamplingParams(max_tokens=2000))
    next(stream)
    engine.close()
    with pytest.raises(EngineClosed):
        list(stream)
    with pytest.raises(EngineClosed):
        engine.generate(ask("Hi."), GREEDY)
    engine.close()
