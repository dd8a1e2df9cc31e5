"""Every family's pass against plain numpy and against llama.cpp, on tiny files with random weights."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from tests.wse_backend.families import FAMILIES, IDS, N_EXPERTS, random_tensors, shapes_of, write_family
from tests.wse_backend.reference_families import Reference
from tests.wse_backend.reference_transformer import mean_kl
from wse_backend import SamplingParams, models
from wse_backend.engine.engine import Engine
from wse_backend.errors import BrokenGGUF, Unsupported, WseError
from wse_backend.weights.architectures import ARCHITECTURES
from wse_backend.weights.gguf_file import open_gguf

GOLDEN: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "golden_families.json").read_text(encoding="utf-8")
)["families"]
MIB = 1 << 20
_NO_EXPERTS = ("olmoe.expert_count", "olmoe.expert_used_count")
QUESTIONS = [[{"role": "user", "content": text}] for text in ("hello hello", "a b c d", "wello hell")]


@contextmanager
def engine_of(path: Path, kv_cache_bytes: int = 32 * MIB) -> Iterator[Engine]:
    engine = Engine(path.stem, open_gguf(path), kv_cache_bytes)
    try:
        yield engine
    finally:
        engine.close()


def test_every_architecture_has_a_tiny_file() -> None:
    assert {family.architecture for family in FAMILIES.values()} == set(ARCHITECTURES)


@pytest.mark.parametrize("name", FAMILIES)
def test_logits_are_those_of_plain_numpy(name: str, tmp_path: Path) -> None:
    path = write_family(tmp_path / "tiny.gguf", FAMILIES[name])
    with engine_of(path) as engine:
        found = engine.logits(IDS)
    assert mean_kl(Reference(path).logits(IDS), found) < 1e-5


@pytest.mark.parametrize("name", ["llama", "olmoe"])
def test_bfloat16_weights_compute_as_plain_numpy(name: str, tmp_path: Path) -> None:
    quantize = gguf.GGMLQuantizationType.BF16
    path = write_family(tmp_path / "tiny.gguf", FAMILIES[name], quantize=quantize)
    with engine_of(path) as engine:
        found = engine.logits(IDS)
        assert engine.size_bytes > path.stat().st_size  # they are float32 in memory, and counted so
    assert mean_kl(Reference(path).logits(IDS), found) < 1e-5


@pytest.mark.parametrize("name", FAMILIES)
def test_most_likely_tokens_are_those_of_llama_cpp(name: str, tmp_path: Path) -> None:
    path = write_family(tmp_path / "tiny.gguf", FAMILIES[name], quantize=gguf.GGMLQuantizationType.F32)
    with engine_of(path) as engine:
        logits = engine.logits(IDS).astype(np.float64)
    shares = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    golden = GOLDEN[name]
    # llama.cpp keeps keys and values as float16 and rounds GELU by a table of float16; so a tie of two
    # tokens may be broken otherwise, and is allowed to, within what that rounding does.
    assert shares[range(len(IDS)), golden["token"]] == pytest.approx(golden["log_probability"], abs=5e-3)
    assert shares.max(axis=1) == pytest.approx(golden["log_probability"], abs=5e-3)


@pytest.mark.parametrize("name", FAMILIES)
def test_an_answer_does_not_depend_on_what_else_runs(name: str, tmp_path: Path) -> None:
    params = SamplingParams(temperature=0.0, max_tokens=24)
    with engine_of(write_family(tmp_path / "tiny.gguf", FAMILIES[name])) as engine:
        together = engine.generate_batch([(question, params) for question in QUESTIONS])
        alone = [engine.generate(question, params) for question in QUESTIONS]
    assert [c.text for c in together] == [c.text for c in alone]
    assert any(c.usage.completion_tokens > 8 for c in alone)


def test_longrope_takes_the_factors_of_the_context_that_is_used(tmp_path: Path) -> None:
    family = FAMILIES["phi3"]
    with engine_of(write_family(tmp_path / "long.gguf", family)) as engine:
        long = engine.logits(IDS)
    changes = {"phi3.rope.scaling.original_context_length": 256}
    path = write_family(tmp_path / "short.gguf", family, changes=changes)
    with engine_of(path) as engine:
        short = engine.logits(IDS)
    assert mean_kl(Reference(path).logits(IDS), short) < 1e-5
    assert mean_kl(long, short) > 1e-4


def test_window_hides_what_lies_before_it(tmp_path: Path) -> None:
    # One layer with a window of 5: what was said 5 tokens ago cannot matter, what was said 4 ago does.
    family = FAMILIES["gemma3"]
    path = write_family(tmp_path / "tiny.gguf", family, changes={"gemma3.block_count": 1}, n_layers=1)
    with engine_of(path) as engine:
        before, inside = list(IDS), list(IDS)
        before[-6] = inside[-5] = 200
        last = [engine.logits(ids)[-1] for ids in (IDS, before, inside)]
    assert np.array_equal(last[0], last[1])
    assert not np.array_equal(last[0], last[2])


@pytest.mark.parametrize(
    ("name", "change", "error", "words"),
    [
        ("qwen3", {"blk.1.attn_q_norm.weight": None}, BrokenGGUF, "blk.1.attn_q_norm.weight is missing"),
        ("gemma2", {"blk.0.post_ffw_norm.weight": None}, BrokenGGUF, "post_ffw_norm.weight is missing"),
        ("llama", {"blk.0.attn_k_norm.weight": np.ones(16, np.float32)}, Unsupported, "attn_k_norm"),
        ("phi3", {"blk.0.attn_qkv.weight": np.ones((64, 64), np.float32)}, BrokenGGUF, "attn_qkv.weight has"),
        ("olmo2", {"blk.0.attn_q_norm.weight": np.ones(16, np.float32)}, BrokenGGUF, r"implies \(64,\)"),
    ],
    ids=["no head norm", "no norm after", "a norm too many", "wrong width", "norm of a head"],
)
def test_another_familys_tensors_are_refused_by_name(
    tmp_path: Path, name: str, change: dict[str, Any], error: type[Exception], words: str
) -> None:
    path = write_family(tmp_path / "tiny.gguf", FAMILIES[name], tensor_changes=change)
    with pytest.raises(error, match=words):
        open_gguf(path)


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
def test_factors_of_rope_that_are_no_factors_are_refused_by_name(tmp_path: Path, value: float) -> None:
    factors = np.ones(8, np.float32)
    factors[3] = value
    path = write_family(
        tmp_path / "t.gguf", FAMILIES["llama, rope_freqs"], tensor_changes={"rope_freqs.weight": factors}
    )
    with pytest.raises(BrokenGGUF, match=r"rope_freqs\.weight has entries that are no positive numbers"):
        open_gguf(path)


def test_layers_that_differ_are_refused_by_key(tmp_path: Path) -> None:
    changes = {"llama.attention.head_count_kv": [2, 1, 2]}
    with pytest.raises(Unsupported, match=r"llama\.attention\.head_count_kv is not the same in all layers"):
        open_gguf(write_family(tmp_path / "tiny.gguf", FAMILIES["llama"], changes=changes))


def test_only_chosen_experts_are_computed(tmp_path: Path) -> None:
    # The unchosen are replaced by zeros; one that is chosen then changes the answer, and nothing else does.
    family = FAMILIES["olmoe"]
    path = write_family(tmp_path / "tiny.gguf", family, n_layers=1)
    with engine_of(path) as engine:
        before = engine.logits(IDS[:1])
        chosen = set(engine.routing(IDS[:1]).chosen[0, 0])
    arrays = random_tensors(shapes_of(replace(family, n_layers=1)))
    for expert in range(N_EXPERTS):
        down = arrays["blk.0.ffn_down_exps.weight"].copy()
        down[expert] = 0
        changed = write_family(path, family, n_layers=1, tensor_changes={"blk.0.ffn_down_exps.weight": down})
        with engine_of(changed) as engine:
            is_same = np.array_equal(engine.logits(IDS[:1]), before)
        assert is_same == (expert not in chosen)


@pytest.mark.parametrize(
    ("name", "changes", "tensors", "error", "words"),
    [
        ("olmoe", {"olmoe.expert_count": 6}, {}, BrokenGGUF, r"ffn_gate_inp.weight has the shape \(8, 64\)"),
        (
            "olmoe",
            {"olmoe.expert_used_count": 9},
            {},
            BrokenGGUF,
            "expert_used_count is 9; .* 1 to 8",
        ),
        ("olmoe", {"olmoe.expert_used_count": None}, {}, BrokenGGUF, "expert_used_count is missing"),
        ("olmoe", {"olmoe.expert_count": 0}, {}, BrokenGGUF, "expert_used_count is 2; .* 1 to 1"),
        ("olmoe", dict.fromkeys(_NO_EXPERTS), {}, BrokenGGUF, "expert_count is missing"),
        ("qwen3", {"qwen3.expert_count": 4, "qwen3.expert_used_count": 2}, {}, Unsupported, "a mixture"),
        (
            "olmoe",
            {"olmoe.expert_gating_func": 2},
            {},
            Unsupported,
            r"expert_gating_func is 2; supported: 1 \(soft",
        ),
        ("olmoe", {"olmoe.expert_weights_scale": 2.5}, {}, Unsupported, "expert_weights_scale is 2.5"),
        ("olmoe", {"olmoe.expert_weights_norm": True}, {}, Unsupported, "expert_weights_norm is True"),
        ("olmoe", {"olmoe.expert_group_count": 4}, {}, Unsupported, "expert_group_count is 4"),
        ("olmoe", {"olmoe.leading_dense_block_count": 1}, {}, Unsupported, "leading_dense_block_count is 1"),
        (
            "olmoe",
            {"olmoe.feed_forward_length": 24},
            {},
            BrokenGGUF,
            r"ffn_gate_exps.weight has the shape \(8, 32, 64\), its header implies \(8, 24, 64\)",
        ),
    ],
    ids=[
        "another number",
        "more used",
        "none used",
        "zero",
        "no number",
        "of a dense family",
        "another gate",
        "another scale",
        "another norm",
        "groups",
        "dense layers first",
        "another width",
    ],
)
def test_experts_that_do_not_fit_are_refused(
    tmp_path: Path,
    name: str,
    changes: dict[str, Any],
    tensors: dict[str, Any],
    error: type[Exception],
    words: str,
) -> None:
    path = write_family(tmp_path / "t.gguf", FAMILIES[name], changes=changes, tensor_changes=tensors)
    with pytest.raises(error, match=words):
        open_gguf(path)


def test_router_that_chooses_nan_ends_the_request_with_its_name(tmp_path: Path) -> None:
    router = np.full((N_EXPERTS, 64), 3e38, np.float32)
    path = write_family(
        tmp_path / "t.gguf", FAMILIES["olmoe"], tensor_changes={"blk.1.ffn_gate_inp.weight": router}
    )
    with pytest.raises(WseError, match=r"blk\.1\.ffn_gate_inp\.weight"), engine_of(path) as engine:
        engine.generate(QUESTIONS[0], SamplingParams(max_tokens=4))


@pytest.fixture(scope="module")
def gemma_path() -> Path:
    if not models.is_downloaded("gemma-3-270m"):
        pytest.skip("Gemma 3 270M is not in the model folder: python -m wse_backend pull gemma-3-270m")
    return models.ensure("gemma-3-270m")


def test_gemma_3_270m_computes_as_plain_numpy_and_knows_a_capital(gemma_path: Path) -> None:
    with engine_of(gemma_path, 64 * MIB) as engine:
        ids = [2, *engine.tokenize("Berlin is in Germany, Rome is in")]
        found = engine.logits(ids)
        assert engine.detokenize([int(found[-1].argmax())]) == " Italy"
    assert mean_kl(Reference(gemma_path).logits(ids), found) < 1e-5


def a_tensor_each(changes: dict[str, Any] | None = None) -> dict[str, Any]:
    """The tensors of the small Mixtral with one for each expert, as files of early 2024 have them."""
    found: dict[str, Any] = {}
    for name, values in random_tensors(shapes_of(FAMILIES["llama, experts"])).items():
        if "_exps" in name:
            found[name] = None
            stem = name.removesuffix("_exps.weight")
            found |= {f"{stem}.{expert}.weight": part for expert, part in enumerate(values)}
    return {**found, **(changes or {})}


@pytest.mark.parametrize("kind", ["Q8_0", "BF16"])
def test_experts_that_lie_in_a_tensor_each_compute_the_same(tmp_path: Path, kind: str) -> None:
    family, quantize = FAMILIES["llama, experts"], gguf.GGMLQuantizationType[kind]
    today = write_family(tmp_path / "today.gguf", family, quantize=quantize)
    early = write_family(tmp_path / "early.gguf", family, quantize=quantize, tensor_changes=a_tensor_each())
    with engine_of(today) as engine:
        expected = engine.logits(IDS)
    with engine_of(early) as engine:
        assert np.array_equal(engine.logits(IDS), expected)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"blk.1.ffn_up.3.weight": None}, BrokenGGUF, r"blk\.1\.ffn_up\.3\.weight is missing; .* 8 experts"),
        (
            {"blk.0.ffn_up.8.weight": np.ones((32, 64), np.float32)},
            BrokenGGUF,
            r"ffn_up\.8\.weight: the header",
        ),
        (
            {"blk.0.ffn_up.7.weight": np.ones((64, 32), np.float32)},
            BrokenGGUF,
            r"ffn_up\.7\.weight has the sh",
        ),
        (
            {"blk.0.ffn_up_exps.weight": np.ones((8, 32, 64), np.float32)},
            BrokenGGUF,
            "has both blk.0.ffn_up_ex",
        ),
    ],
    ids=["one missing", "one too many", "another shape", "both ways"],
)
def test_experts_that_do_not_make_a_whole_are_refused_by_name(
    tmp_path: Path, change: dict[str, Any], error: type[Exception], words: str
) -> None:
    path = write_family(tmp_path / "t.gguf", FAMILIES["llama, experts"], tensor_changes=a_tensor_each(change))
    with pytest.raises(error, match=words):
        open_gguf(path)
