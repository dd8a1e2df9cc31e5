"""Shapes: published parameter counts, GGUF headers of any architecture, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import gguf
import numpy as np
import pytest

from tests.wse_backend.tiny_gguf import write_tiny_gguf, write_with_type
from wse_backend.errors import BrokenGGUF, InvalidParams
from wse_backend.wafer.shapes import PRESETS, ModelShape, as_shape, from_gguf
from wse_backend.weights.gguf_file import open_gguf

# Totals as their makers publish them (model cards), in units of 1e9.
PUBLISHED_TOTALS = {
    "llama3-8b": 8.03,
    "llama2-13b": 13.02,
    "codellama-34b": 33.7,
    "qwen2-72b": 72.7,
    "llama3.1-70b": 70.6,
    "llama3.1-405b": 405.9,
    "llama-4-scout": 108.0,
    "qwen3-32b": 32.8,
    "gpt-oss-120b": 116.8,
    "smollm2-135m": 0.1345,
    "qwen2.5-coder-0.5b": 0.494,
    "qwen2.5-coder-1.5b": 1.54,
}


@pytest.mark.parametrize(("name", "billions"), PUBLISHED_TOTALS.items(), ids=PUBLISHED_TOTALS)
def test_preset_has_the_published_number_of_parameters(name: str, billions: float) -> None:
    assert PRESETS[name].params == pytest.approx(billions * 1e9, rel=0.005)


def test_only_routed_experts_count_as_active() -> None:
    # gpt-oss-120b: 5.1 B active parameters by its model card; Llama 4 Scout: 17 B with its embedding.
    assert PRESETS["gpt-oss-120b"].active_params == pytest.approx(5.1e9, rel=0.02)
    scout = PRESETS["llama-4-scout"]
    assert scout.active_params + scout.vocab_size * scout.dim == pytest.approx(17.2e9, rel=0.02)


def test_cache_of_a_token_is_keys_and_values_of_all_layers() -> None:
    # Llama 3 8B: 2 x 32 layers x 8 heads x 128 x 2 bytes = 128 KiB
    assert PRESETS["llama3-8b"].kv_bytes_per_token == 128 * 1024


def write_header(
    path: Path, architecture: str, values: dict[str, int], tensors: tuple[str, ...] = ()
) -> Path:
    writer = gguf.GGUFWriter(path, architecture)
    for key, value in values.items():
        writer.add_uint32(f"{architecture}.{key}", value)
    writer.add_token_list([f"t{i}" for i in range(50)])
    for name in tensors:
        writer.add_tensor(name, np.zeros((50, 64), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


HEADER = {
    "block_count": 3,
    "embedding_length": 64,
    "feed_forward_length": 160,
    "context_length": 512,
    "attention.head_count": 4,
    "attention.head_count_kv": 2,
}


def test_header_of_an_unknown_architecture_gives_its_shape(tmp_path: Path) -> None:
    path = write_header(tmp_path / "m.gguf", "somethingnew", HEADER | {"attention.key_length": 32})
    shape = from_gguf(path)
    assert shape == ModelShape("somethingnew", 3, 64, 4, 2, 32, 160, 50, 512)


def test_header_without_an_output_matrix_is_tied(tmp_path: Path) -> None:
    own = write_header(tmp_path / "own.gguf", "llama", HEADER, ("token_embd.weight", "output.weight"))
    tied = write_header(tmp_path / "tied.gguf", "llama", HEADER, ("token_embd.weight",))
    assert (from_gguf(own).is_tied, from_gguf(tied).is_tied) == (False, True)


def test_header_with_experts_gives_their_width(tmp_path: Path) -> None:
    experts = {"expert_count": 8, "expert_used_count": 2, "expert_feed_forward_length": 40}
    shape = from_gguf(write_header(tmp_path / "moe.gguf", "qwen3moe", HEADER | experts))
    assert (shape.n_experts, shape.n_experts_active, shape.hidden_dim) == (8, 2, 40)


def test_experts_of_a_header_without_their_width_have_that_of_the_layer(tmp_path: Path) -> None:
    experts = {"expert_count": 8, "expert_used_count": 2}  # as Mixtral's files
    shape = from_gguf(write_header(tmp_path / "moe.gguf", "llama", HEADER | experts))
    assert (shape.n_experts, shape.n_experts_active, shape.hidden_dim) == (8, 2, 160)


def test_engine_and_wafer_read_a_header_alike(tmp_path: Path) -> None:
    path = write_tiny_gguf(tmp_path / "tiny.gguf")
    shape, hparams = from_gguf(path), open_gguf(path).hparams
    fields = ("n_layers", "dim", "n_heads", "n_kv_heads", "head_dim", "hidden_dim", "vocab_size", "n_ctx")
    assert [getattr(shape, f) for f in fields] == [getattr(hparams, f) for f in fields]
    broken = write_tiny_gguf(tmp_path / "odd.gguf", changes={"llama.attention.head_count_kv": 3})
    for read in (from_gguf, open_gguf):
        with pytest.raises(BrokenGGUF, match="cannot share 3"):
            read(broken)


def test_wafer_takes_weights_that_the_engine_cannot_multiply_by(tmp_path: Path) -> None:
    path = write_with_type(tmp_path / "tiny.gguf", gguf.GGMLQuantizationType.I8)
    assert from_gguf(path) == from_gguf(write_tiny_gguf(tmp_path / "plain.gguf"))


def test_real_weights_have_the_preset_of_their_name(smollm2_path: Path) -> None:
    shape = from_gguf(smollm2_path)
    assert replace(shape, name="smollm2-135m") == PRESETS["smollm2-135m"]


def test_fields_of_an_engine_give_its_shape() -> None:
    preset = PRESETS["qwen2.5-coder-0.5b"]
    fields = {name: value for name, value in preset.__dict__.items() if "expert" not in name}
    assert from_gguf(fields | {"rope_theta": 1e6}) == preset


def test_header_without_layers_is_broken(tmp_path: Path) -> None:
    values = {key: value for key, value in HEADER.items() if key != "block_count"}
    with pytest.raises(BrokenGGUF, match=r"llama\.block_count"):
        from_gguf(write_header(tmp_path / "m.gguf", "llama", values))


@pytest.mark.parametrize(
    ("field", "value"),
    [("n_layers", 0), ("dim", -1), ("hidden_dim", 1.5), ("n_ctx", True), ("n_kv_heads", 5)],
)
def test_impossible_hyperparameter_is_refused(field: str, value: object) -> None:
    with pytest.raises(InvalidParams, match=field):
        replace(PRESETS["llama3-8b"], **{field: value})  # type: ignore[arg-type]


def test_more_active_experts_than_experts_is_refused() -> None:
    with pytest.raises(InvalidParams, match="1 to n_experts = 128"):
        replace(PRESETS["gpt-oss-120b"], n_experts_active=129)


def test_unknown_preset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidParams, match="llama3-8b"):
        as_shape("llama9-1b")


@pytest.mark.parametrize(
    ("name", "params", "active"),
    [
        # as published on the models' cards: total and active parameters, in billions
        ("gpt-oss-120b", 116.8, 5.1),
        ("qwen3-235b-a22b", 235, 22),
        ("glm-4.7", 355, 32),
        ("llama-4-scout", 109, 17),
        ("llama-4-maverick", 400, 17),
        ("deepseek-r1-671b", 671, 37),
    ],
)
def test_experts_have_the_published_number_of_parameters(name: str, params: float, active: float) -> None:
    shape = PRESETS[name]
    assert shape.params / 1e9 == pytest.approx(params, rel=0.015)
    assert shape.active_params / 1e9 == pytest.approx(active, rel=0.06)


def test_dense_layers_of_a_mixture_are_where_its_configuration_says() -> None:
    maverick, deepseek = PRESETS["llama-4-maverick"], PRESETS["deepseek-r1-671b"]
    assert [maverick.kind_of(layer).n_experts for layer in range(4)] == [0, 128, 0, 128]
    assert [deepseek.kind_of(layer).n_experts for layer in range(4)] == [0, 0, 0, 256]
    assert [(kind.hidden_dim, n) for kind, n in deepseek.kinds] == [(18432, 3), (2048, 58)]


def test_latent_attention_caches_576_values_a_token() -> None:
    # DeepSeek-V3 report (arXiv 2412.19437): kv_lora_rank 512 and 64 of RoPE, in each of 61 layers, 2 bytes
    assert PRESETS["deepseek-r1-671b"].kv_bytes_per_token == 61 * 576 * 2


def test_deepseek_header_gives_the_presets_layers(tmp_path: Path) -> None:
    # the keys that llama.cpp writes for DeepSeek-R1 (gguf-py's constants); head_count_kv is 1 in files since
    # 2025
    header = {
        "block_count": 61,
        "context_length": 163840,
        "embedding_length": 7168,
        "feed_forward_length": 18432,
        "attention.head_count": 128,
        "attention.head_count_kv": 1,
        "attention.key_length": 576,
        "attention.value_length": 512,
        "attention.key_length_mla": 192,
        "attention.value_length_mla": 128,
        "attention.q_lora_rank": 1536,
        "attention.kv_lora_rank": 512,
        "rope.dimension_count": 64,
        "leading_dense_block_count": 3,
        "expert_count": 256,
        "expert_used_count": 8,
        "expert_shared_count": 1,
        "expert_feed_forward_length": 2048,
    }
    shape = from_gguf(write_header(tmp_path / "r1.gguf", "deepseek2", header))
    preset = PRESETS["deepseek-r1-671b"]
    assert replace(shape, name=preset.name, is_tied=False, vocab_size=preset.vocab_size) == preset


def test_every_second_layer_of_maverick_has_experts(tmp_path: Path) -> None:
    experts = {
        "expert_count": 128,
        "expert_used_count": 1,
        "expert_feed_forward_length": 96,
        "interleave_moe_layer_step": 2,
    }
    shape = from_gguf(write_header(tmp_path / "m.gguf", "llama4", HEADER | experts))
    assert [shape.kind_of(layer).n_experts for layer in range(2)] == [0, 128]
    assert shape.kind_of(0).hidden_dim == HEADER["feed_forward_length"]
