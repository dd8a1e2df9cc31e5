"""What a GGUF header says of its model: hyperparameters, and whether the tensors fit them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from wse_backend.errors import BrokenGGUF, Unsupported

FLOAT_TYPES = ("F32", "F16")
N_LAYERS_LIMIT = 1024
N_CTX_LIMIT = 1 << 20
DIM_LIMIT = 1 << 20


@dataclass(frozen=True)
class HParams:
    """Hyperparameters of a transformer, as its header gives them and its tensors confirm them.

    rope_style: which elements of a head RoPE turns together. "interleaved": (0, 1), (2, 3), ...; GGUFs of
    architecture `llama` have their Q and K rows permuted for it. "half": (i, i + rope_dim / 2); `qwen2`.
    """

    n_layers: int
    dim: int
    hidden_dim: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    vocab_size: int
    n_ctx: int
    rope_theta: float
    rope_dim: int
    rope_style: Literal["interleaved", "half"]
    rms_eps: float
    is_tied: bool  # the head reads token_embd.weight: the file has no output.weight
    has_qkv_bias: bool


@dataclass(frozen=True)
class TensorInfo:
    """One tensor: its type, its numpy-order shape and its bytes as they lie in the file.

    shape: (rows, cols) for a matrix, (n,) for a vector; a row is contiguous. data: uint8 (n_bytes,), a
    read-only view of the mapped file.
    """

    name: str
    type_name: str
    qtype: int
    shape: tuple[int, ...]
    n_bytes: int
    data: npt.NDArray[np.uint8] = field(repr=False, compare=False)


class _Fields:
    """Typed look-up of `{architecture}.*` values with ranges."""

    def __init__(self, metadata: dict[str, object], architecture: str, file: str) -> None:
        self.metadata = metadata
        self.prefix = architecture
        self.file = file

    def get(self, key: str) -> object:
        return self.metadata.get(f"{self.prefix}.{key}")

    def integer(self, key: str, limit: int, default: int | None = None) -> int:
        found = self.get(key)
        if found is None:
            found = default
        if type(found) is not int or not 1 <= found <= limit:
            shown = "missing" if found is None else _shown(found)
            raise BrokenGGUF(
                self.file, f"{self.prefix}.{key} is {shown}; allowed: integers from 1 to {limit:,}"
            )
        return found

    def real(self, key: str, low: float, high: float, default: float | None = None) -> float:
        found = self.get(key)
        if found is None:
            found = default
        if type(found) not in (int, float) or not low <= float(found) <= high:  # type: ignore[arg-type]
            shown = "missing" if found is None else _shown(found)
            raise BrokenGGUF(self.file, f"{self.prefix}.{key} is {shown}; allowed: {low:g} to {high:g}")
        return float(found)  # type: ignore[arg-type]


def _shown(found: object) -> str:
    return f"a list of {len(found)}" if isinstance(found, list) else repr(found)[:60]


def read_hparams(
    metadata: dict[str, object], architecture: str, tensors: dict[str, TensorInfo], file: str
) -> HParams:
    """Return the hyperparameters of a header, checked against each other and against the tensors.

    file: its name, for errors. Raises BrokenGGUF and Unsupported.
    """
    fields = _Fields(metadata, architecture, file)
    dim = fields.integer("embedding_length", DIM_LIMIT)
    n_heads = fields.integer("attention.head_count", dim)
    if (
        "attention.key_length" not in metadata
        and dim % n_heads
        and fields.get("attention.key_length") is None
    ):
        raise BrokenGGUF(file, f"{dim} elements per token cannot be shared by {n_heads} attention heads")
    n_kv_heads = fields.integer("attention.head_count_kv", n_heads, default=n_heads)
    if n_heads % n_kv_heads:
        raise BrokenGGUF(file, f"{n_heads} attention heads cannot share {n_kv_heads} key-value heads")
    head_dim = fields.integer("attention.key_length", dim, default=dim // n_heads)
    if fields.integer("attention.value_length", dim, default=head_dim) != head_dim:
        raise Unsupported(file, "the size of a value head", "not that of a key head")
    rope_dim = fields.integer("rope.dimension_count", head_dim, default=head_dim)
    if rope_dim % 2:
        raise BrokenGGUF(file, f"RoPE turns pairs, but {architecture}.rope.dimension_count is {rope_dim}")
    _refuse_variants(fields, file)
    hparams = HParams(
        n_layers=fields.integer("block_count", N_LAYERS_LIMIT),
        dim=dim,
        hidden_dim=fields.integer("feed_forward_length", DIM_LIMIT),
        n_heads=n_heads,
        n_kv_heads=n_kv_heads,
        head_dim=head_dim,
        vocab_size=_vocab_size(fields, tensors, file),
        n_ctx=fields.integer("context_length", N_CTX_LIMIT),
        rope_theta=fields.real("rope.freq_base", 1.0, 1e12, default=10000.0),
        rope_dim=rope_dim,
        rope_style="interleaved" if architecture == "llama" else "half",
        rms_eps=fields.real("attention.layer_norm_rms_epsilon", 1e-12, 1.0),
        is_tied="output.weight" not in tensors,
        has_qkv_bias="blk.0.attn_q.bias" in tensors,
    )
    _check_tensors(hparams, tensors, file)
    return hparams


def _refuse_variants(fields: _Fields, file: str) -> None:
    """Refuse header values that change the arithmetic in a way the engine does not compute."""
    scaling = fields.get("rope.scaling.type")
    if scaling not in (None, "none"):
        raise Unsupported(file, "RoPE scaling", _shown(scaling), ("none",))
    if fields.get("rope.scale_linear") not in (None, 0.0, 1.0):
        raise Unsupported(file, "RoPE scaling", "linear", ("none",))
    if fields.get("expert_count") not in (None, 0):
        raise Unsupported(file, "the feed-forward network", "a mixture of experts", ("dense",))
    if fields.get("attention.causal") is False:
        raise Unsupported(file, "its attention", "not causal", ("causal",))


def _vocab_size(fields: _Fields, tensors: dict[str, TensorInfo], file: str) -> int:
    embedding = tensors.get("token_embd.weight")
    if embedding is None:
        raise BrokenGGUF(file, "tensor token_embd.weight is missing")
    rows = embedding.shape[0]
    if fields.integer("vocab_size", DIM_LIMIT, default=rows) != rows:
        raise BrokenGGUF(
            file, f"{fields.prefix}.vocab_size is {fields.get('vocab_size')}, the embedding has {rows}"
        )
    tokens = fields.metadata.get("tokenizer.ggml.tokens")
    if isinstance(tokens, list) and len(tokens) != rows:
        raise BrokenGGUF(file, f"the vocabulary has {len(tokens):,} tokens, the embedding {rows:,} rows")
    return rows


def _expected_shapes(h: HParams) -> dict[str, tuple[int, ...]]:
    """Name and numpy-order shape of every tensor that the forward pass reads."""
    q_dim, kv_dim = h.n_heads * h.head_dim, h.n_kv_heads * h.head_dim
    expected: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (h.vocab_size, h.dim),
        "output_norm.weight": (h.dim,),
    }
    if not h.is_tied:
        expected["output.weight"] = (h.vocab_size, h.dim)
    for layer in range(h.n_layers):
        blk = f"blk.{layer}."
        expected |= {
            blk + "attn_norm.weight": (h.dim,),
            blk + "attn_q.weight": (q_dim, h.dim),
            blk + "attn_k.weight": (kv_dim, h.dim),
            blk + "attn_v.weight": (kv_dim, h.dim),
            blk + "attn_output.weight": (h.dim, q_dim),
            blk + "ffn_norm.weight": (h.dim,),
            blk + "ffn_gate.weight": (h.hidden_dim, h.dim),
            blk + "ffn_up.weight": (h.hidden_dim, h.dim),
            blk + "ffn_down.weight": (h.dim, h.hidden_dim),
        }
        if h.has_qkv_bias:
            expected |= {
                blk + "attn_q.bias": (q_dim,),
                blk + "attn_k.bias": (kv_dim,),
                blk + "attn_v.bias": (kv_dim,),
            }
    return expected


def _check_tensors(h: HParams, tensors: dict[str, TensorInfo], file: str) -> None:
    """Every tensor the forward pass reads is there with its shape, and there is none that it would ignore."""
    expected = _expected_shapes(h)
    for name, shape in expected.items():
        if name not in tensors:
            raise BrokenGGUF(file, f"tensor {name} is missing")
        found = tensors[name]
        if found.shape != shape:
            raise BrokenGGUF(file, f"tensor {name} has the shape {found.shape}, its header implies {shape}")
        if len(shape) == 1 and found.type_name not in FLOAT_TYPES:
            raise Unsupported(file, f"vector {name}", found.type_name, FLOAT_TYPES)
    ignored = [name for name in tensors if name not in expected]
    if ignored:
        raise Unsupported(
            file, f"tensor {ignored[0]}", "no part of the transformer that this engine computes"
        )
