"""Where the tokens of a request went, as its passes recorded it: as plain numpy, in batches, with drafts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.wse_backend.families import FAMILIES, write_family
from tests.wse_backend.reference_families import Reference, softmax
from tests.wse_backend.tiny_gguf import write_tiny_gguf
from wse_backend import Completion, Engine, RoutedTokens, SamplingParams
from wse_backend.engine import drafts, router_log
from wse_backend.weights.gguf_file import open_gguf

QUESTIONS = [[{"role": "user", "content": text}] for text in ("hello hello", "a b c d", "wello hell")]
GREEDY = SamplingParams(temperature=0.0, max_tokens=40)
MIB = 1 << 20


def engine_of(path: Path, **options: Any) -> Engine:
    return Engine(path.stem, open_gguf(path), 32 * MIB, **options)


def routing_of(completion: Completion) -> RoutedTokens:
    assert completion.routing is not None
    return completion.routing


@pytest.fixture(scope="module")
def mixture_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_family(tmp_path_factory.mktemp("models") / "mixture.gguf", FAMILIES["olmoe"])


@pytest.fixture
def mixture(mixture_path: Path) -> Iterator[Engine]:
    engine = engine_of(mixture_path)
    yield engine
    engine.close()


@pytest.mark.parametrize("family", ["olmoe", "gpt-oss", "qwen3moe"])
def test_recorded_experts_are_those_of_plain_numpy(family: str, tmp_path: Path) -> None:
    path = write_family(tmp_path / "tiny.gguf", FAMILIES[family])
    engine = engine_of(path)
    answer = engine.generate(QUESTIONS[0], GREEDY)
    prompt = engine.tokenize(engine.render(QUESTIONS[0]))
    engine.close()
    found, ids = routing_of(answer), [*prompt, *answer.token_ids]
    assert found.n_prompt == len(prompt)
    assert "".join(found.texts[: len(prompt)]) == engine.render(QUESTIONS[0])
    assert len(found.texts) in (len(ids), len(ids) - 1)  # an end is no part of the answer, but was computed
    reference = Reference(path)
    reference.logits(ids[: len(found.texts)])
    n_compared = 0
    for layer, router in enumerate(reference.routers):
        for token, row in enumerate(router):
            best = np.argsort(-row, kind="stable")
            if min(row[best[:2]] - row[best[1:3]]) < 1e-2:
                continue  # near a tie the last bits decide
            if layer == len(reference.routers) - 1 and token < len(prompt) - 1:
                assert set(found.chosen[token, layer]) == {found.n_experts}  # nobody asked for its logits
                continue
            assert found.chosen[token, layer].tolist() == best[:2].tolist()
            shares = softmax(row)[best[:2]] if family == "olmoe" else softmax(row[best[:2]])
            assert found.shares[token, layer] / 255 == pytest.approx(shares, abs=6e-3)  # a step is 1/255
            n_compared += 1
    assert n_compared > 60


def test_agents_of_one_batch_have_the_routes_that_each_has_alone(mixture_path: Path) -> None:
    together, alone = engine_of(mixture_path), engine_of(mixture_path)
    batch = together.generate_batch([(question, GREEDY) for question in QUESTIONS])
    single = [alone.generate(question, GREEDY) for question in QUESTIONS]
    together.close()
    alone.close()
    for one, other in zip(batch, single, strict=True):
        assert one.token_ids == other.token_ids
        mine, its = routing_of(one), routing_of(other)
        n = min(len(mine.texts), len(its.texts))  # what was in the cache is not computed again
        assert n > len(one.token_ids)
        assert mine.texts[-n:] == its.texts[-n:]
        assert np.array_equal(mine.chosen[-n:], its.chosen[-n:])
        assert np.array_equal(mine.shares[-n:], its.shares[-n:])


def test_drafts_right_or_wrong_leave_no_routes_of_their_own(
    mixture_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = engine_of(mixture_path, is_speculative=False)
    expected = [plain.generate(question, GREEDY) for question in QUESTIONS]
    plain.close()
    monkeypatch.setattr(drafts, "choose_drafts", lambda chances, *_: [len(c[:3]) for c in chances])
    drafting = engine_of(mixture_path)
    found = [drafting.generate(question, GREEDY) for question in QUESTIONS]
    drafting.close()
    computed = sum(answer.timing.decode.drafted for answer in found)
    right = sum(answer.timing.decode.tokens - answer.timing.decode.passes for answer in found)
    assert 0 < right < computed
    for one, other in zip(found, expected, strict=True):
        assert one.token_ids == other.token_ids
        assert routing_of(one).texts == routing_of(other).texts
        assert np.array_equal(routing_of(one).chosen, routing_of(other).chosen)
        assert np.array_equal(routing_of(one).shares, routing_of(other).shares)


def test_a_prompt_from_the_cache_is_not_computed_again(mixture: Engine) -> None:
    first = routing_of(mixture.generate(QUESTIONS[0], GREEDY))
    answer = mixture.generate(QUESTIONS[0], GREEDY)
    again = routing_of(answer)
    assert answer.usage.cached_tokens > 0
    assert again.n_prompt == first.n_prompt - answer.usage.cached_tokens
    assert again.n_left_out == 0
    assert np.array_equal(again.chosen[again.n_prompt :], first.chosen[first.n_prompt :])


def test_what_does_not_fit_is_left_out_and_counted(mixture: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    per_token = 3 * 2 * 2  # layers, experts per token, a byte each for expert and share
    monkeypatch.setattr(router_log, "LOG_BYTES", 45 * per_token)
    whole = mixture.generate(QUESTIONS[0], GREEDY)
    found = routing_of(whole)
    assert found.n_prompt == 5  # the prompt's last, beside an answer of up to 40
    assert found.n_left_out == whole.usage.prompt_tokens - 5
    monkeypatch.setattr(router_log, "LOG_BYTES", 10 * per_token)
    found = routing_of(mixture.generate(QUESTIONS[1], GREEDY))
    assert (len(found.texts), found.n_prompt, found.chosen.shape) == (10, 0, (10, 3, 2))
    assert found.n_left_out > 20


def test_a_model_without_experts_records_nothing(tmp_path: Path) -> None:
    engine = engine_of(write_tiny_gguf(tmp_path / "dense.gguf"))
    assert engine.generate(QUESTIONS[0], GREEDY).routing is None
    with pytest.raises(ValueError, match="dense has no experts"):
        engine.routing([5])
    engine.close()


@pytest.mark.parametrize(("n_experts", "kind"), [(8, np.uint8), (255, np.uint8), (256, np.uint16)])
def test_experts_are_kept_in_the_smallest_numbers(n_experts: int, kind: type) -> None:
    chosen = np.array([[[n_experts - 1, 0]], [[1, 2]]], np.int32)  # two layers of one row
    shares = np.array([[[0.75, 0.25]], [[1.0, 0.0]]], np.float32)
    rows = router_log.pack(chosen, shares, np.zeros(0, np.int32), n_experts)
    assert rows.chosen.dtype == kind
    assert rows.chosen.tolist() == [[[n_experts - 1, 0], [n_experts, n_experts]]]
    assert rows.shares.tolist() == [[[191, 64], [0, 0]]]
