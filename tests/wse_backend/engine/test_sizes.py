"""Sizes in a header: what the engine does not compute is refused, what it does not need takes no memory."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from gguf.constants import GGMLQuantizationType

from tests.wse_backend.reference_transformer import mean_kl, reference_logits
from tests.wse_backend.tiny_gguf import (
    DIM,
    HEAD_DIM,
    HIDDEN_DIM,
    N_HEADS,
    N_KV_HEADS,
    N_LAYERS,
    tensors,
    write_tiny_gguf,
)
from wse_backend import Engine, Unsupported
from wse_backend.engine import binding
from wse_backend.weights.gguf_file import open_gguf


def with_head_dim(head_dim: int, path: Path) -> Path:
    """The tiny model with heads of another size."""
    rng = np.random.default_rng(3)
    changed: dict[str, npt.NDArray[np.float32] | None] = {}
    for name in tensors("llama"):
        kind = name.split(".")[2] if name.startswith("blk.") else ""
        heads = {"attn_q": N_HEADS, "attn_k": N_KV_HEADS, "attn_v": N_KV_HEADS, "attn_output": N_HEADS}
        if kind in heads:
            shape = (heads[kind] * head_dim, DIM)
            array = rng.standard_normal(shape[::-1] if kind == "attn_output" else shape)
            changed[name] = (0.1 * array).astype(np.float32)
    sizes = {f"llama.attention.{part}_length": head_dim for part in ("key", "value")}
    changes = {**sizes, "llama.rope.dimension_count": head_dim}
    return write_tiny_gguf(path, changes=changes, tensor_changes=changed)


@pytest.mark.parametrize("head_dim", [8, 24, 40])
def test_heads_that_are_no_multiple_of_16_are_refused_by_their_size(tmp_path: Path, head_dim: int) -> None:
    path = with_head_dim(head_dim, tmp_path / "odd.gguf")
    assert open_gguf(path).hparams.head_dim == head_dim  # nothing else is wrong with it
    stages: list[str] = []
    with pytest.raises(Unsupported, match=rf"head is {head_dim}; supported: multiples of 16"):
        Engine.load(path, lambda stage, done, total: stages.append(stage))
    assert stages == []  # nothing was compiled or regrouped


def test_rope_tables_are_made_for_the_engines_context_not_for_the_headers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_tiny_gguf(tmp_path / "claims.gguf", changes={"llama.context_length": 1_000_000})
    made: list[int] = []
    real = binding.rope_tables

    def counted(n_ctx: int, *rest: object) -> object:
        made.append(n_ctx)
        return real(n_ctx, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(binding, "rope_tables", counted)
    engine = Engine("claims", open_gguf(path), kv_cache_bytes=1 << 20)
    try:
        # 1 MiB over what a position takes: keys and values, 2 bytes each, of all layers and heads
        n_positions = (1 << 20) // (N_LAYERS * N_KV_HEADS * HEAD_DIM * 4)
        assert made == [engine.n_ctx] == [n_positions]
    finally:
        engine.close()


@pytest.mark.parametrize("qtype", [GGMLQuantizationType.F32, GGMLQuantizationType.F16])
@pytest.mark.parametrize(("dim", "hidden_dim"), [(100, 97), (33, 16), (64, 1)])
def test_a_model_of_odd_widths_computes_all_its_columns(
    tmp_path: Path, dim: int, hidden_dim: int, qtype: GGMLQuantizationType
) -> None:
    """The whole pass, against plain numpy: no norm, product or activation leaves out the last columns."""
    rng = np.random.default_rng(dim)
    widths = {DIM: dim, HIDDEN_DIM: hidden_dim}
    changed: dict[str, npt.NDArray[np.float32] | None] = {}
    for name, array in tensors("llama").items():
        shape = [widths.get(size, size) for size in array.shape]
        if ".attn_q." in name or ".attn_output." in name:  # 64 is both the width and that of all heads
            shape = [N_HEADS * HEAD_DIM, dim] if ".attn_q." in name else [dim, N_HEADS * HEAD_DIM]
        changed[name] = (0.1 * rng.standard_normal(shape)).astype(np.float32)
    changes = {
        "llama.embedding_length": dim,
        "llama.feed_forward_length": hidden_dim,
        "llama.attention.key_length": HEAD_DIM,
        "llama.attention.value_length": HEAD_DIM,
    }
    path = write_tiny_gguf(tmp_path / "odd.gguf", changes=changes, tensor_changes=changed, quantize=qtype)
    ids = [5, 40, 41, 7, 5, 99, 100]
    engine = Engine("odd", open_gguf(path), kv_cache_bytes=1 << 20)
    try:
        found = engine.logits(ids)
    finally:
        engine.close()
    (expected,) = reference_logits(path, [ids])
    assert mean_kl(expected, found) < 1e-5
    assert np.abs(found - expected).max() < 0.02 * np.abs(expected).max()
