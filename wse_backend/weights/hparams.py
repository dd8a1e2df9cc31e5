"""What one model computes: its family's description with the sizes and factors of its header."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from wse_backend.errors import BrokenGGUF, Unsupported
from wse_backend.weights.architectures import Architecture
from wse_backend.weights.architectures.description import Experts
from wse_backend.weights.rope import RopeScaling, read_rope_scaling
from wse_backend.weights.sizes import Fields, Sizes, read_sizes

SOFTMAX_GATES = (0, 1, 3)  # llama.cpp's numbers (src/llama-hparams.h); 0: the header does not say
N_CTX_LIMIT = 1 << 20  # a longer context is never used: its cache would not fit


@dataclass(frozen=True)
class HParams(Sizes):
    """Hyperparameters of a transformer, as its header gives them and its tensors confirm them.

    windows: how many positions each layer sees, its own included; 0 where all are seen. rope_kinds: whose
    frequencies turn each layer. embedding_scale, residual_scale, attention_scale, logit_scale: factors of the
    embedding, of what is added to the residual, of queries times keys, and of the logits. attention_softcap,
    final_softcap: c of c * tanh(x / c), 0 without.
    """

    architecture: Architecture
    rope_theta: float
    local_rope_theta: float
    rope_dim: int
    rope_scaling: RopeScaling
    rope_kinds: tuple[Literal["global", "local", "none"], ...]
    windows: tuple[int, ...]
    rms_eps: float
    embedding_scale: float
    residual_scale: float
    attention_scale: float
    logit_scale: float
    attention_softcap: float
    final_softcap: float
    is_tied: bool  # the head reads token_embd.weight: the file has no output.weight
    has_qkv_bias: bool

    @property
    def rope_style(self) -> Literal["interleaved", "half"]:
        """Which elements of a head RoPE turns together, see `Architecture`."""
        return self.architecture.rope_style

    @property
    def dense_hidden_dim(self) -> int:
        """Width of the feed-forward network that every token passes: the layer's, or a shared expert's."""
        return self.shared_hidden_dim if self.n_experts else self.hidden_dim

    @property
    def q_dim(self) -> int:
        """Width of all heads' queries."""
        return self.n_heads * self.head_dim

    @property
    def kv_dim(self) -> int:
        """Width of all key-value heads' keys."""
        return self.n_kv_heads * self.head_dim


def read_hparams(
    metadata: dict[str, object],
    architecture: Architecture,
    shapes: dict[str, tuple[int, ...]],
    file: str,
) -> HParams:
    """Return the hyperparameters of a header, checked against each other.

    shapes: of the file's tensors, by name. file: its name, for errors. Raises BrokenGGUF and Unsupported.
    """
    fields = Fields(metadata, file)
    embedding = shapes.get("token_embd.weight")
    if embedding is None:
        raise BrokenGGUF(file, "tensor token_embd.weight is missing")
    sizes = read_sizes(fields, embedding[0])
    _refuse_variants(fields, sizes, architecture)
    rope_dim = fields.integer("rope.dimension_count", sizes.head_dim, default=sizes.head_dim)
    if rope_dim % 2:
        raise BrokenGGUF(
            file, f"RoPE turns pairs, but {fields.architecture}.rope.dimension_count is {rope_dim}"
        )
    windows = _windows(fields, sizes, architecture)
    theta = fields.real("rope.freq_base", 1.0, 1e12, default=10000.0)
    local_theta = architecture.local_rope_theta or theta  # where there is none, no layer uses it
    return HParams(
        architecture=architecture,
        **_counts(sizes),
        rope_theta=theta,
        local_rope_theta=fields.real("rope.freq_base_swa", 1.0, 1e12, default=local_theta),
        rope_dim=rope_dim,
        rope_scaling=read_rope_scaling(fields),
        rope_kinds=_rope_kinds(architecture, windows),
        windows=windows,
        rms_eps=fields.real("attention.layer_norm_rms_epsilon", 1e-12, 1.0),
        **_scales(fields, sizes, architecture),
        is_tied="output.weight" not in shapes,
        has_qkv_bias=architecture.qkv_bias == "yes"
        or (architecture.qkv_bias == "file" and "blk.0.attn_q.bias" in shapes),
    )


def _counts(sizes: Sizes) -> dict[str, Any]:
    return {**vars(sizes), "n_ctx": min(sizes.n_ctx, N_CTX_LIMIT)}


def _windows(fields: Fields, sizes: Sizes, architecture: Architecture) -> tuple[int, ...]:
    """How many positions each layer sees; 0: all."""
    every = architecture.full_attention_every
    window = fields.integer("attention.sliding_window", N_CTX_LIMIT, 0, 0)
    if every is None or not window:
        return (0,) * sizes.n_layers
    return tuple(0 if every and layer % every == every - 1 else window for layer in range(sizes.n_layers))


def _rope_kinds(
    architecture: Architecture, windows: tuple[int, ...]
) -> tuple[Literal["global", "local", "none"], ...]:
    """Which frequencies turn each layer: the header's, those of layers with a window, or none."""
    but = architecture.turns_every_layer_but
    kinds: list[Literal["global", "local", "none"]] = []
    for layer, window in enumerate(windows):
        if but and (layer + 1) % but == 0:
            kinds.append("none")
        else:
            kinds.append("local" if window and architecture.local_rope_theta is not None else "global")
    return tuple(kinds)


def _scales(fields: Fields, sizes: Sizes, architecture: Architecture) -> dict[str, Any]:
    """Factors and soft caps, as in HParams; a header's 0 says that there is none."""

    def real(key: str) -> float:
        return fields.real(key, 0.0, 1e6, default=0.0)

    per_head = sizes.head_dim
    if sizes.n_layers == architecture.layers_scaled_by_width:
        per_head = sizes.dim // sizes.n_heads
    embedding = math.sqrt(sizes.dim) if architecture.scales_embedding else 1.0
    return {
        "embedding_scale": real("embedding_scale") or embedding,
        "residual_scale": real("residual_scale") or 1.0,
        "attention_scale": real("attention.scale") or 1.0 / math.sqrt(per_head),
        "logit_scale": 1.0 / (real("logit_scale") or 1.0),
        "attention_softcap": real("attn_logit_softcapping"),
        "final_softcap": real("final_logit_softcapping"),
    }


def _refuse_variants(fields: Fields, sizes: Sizes, architecture: Architecture) -> None:
    """Refuse header values that change the arithmetic in a way the engine does not compute."""
    file = fields.file
    if sizes.uneven:
        raise Unsupported(file, sizes.uneven[0], "not the same in all layers", ("one value for all layers",))
    if sizes.n_experts and architecture.experts is None:
        raise Unsupported(file, "the feed-forward network", "a mixture of experts", ("dense",))
    if not sizes.n_experts and architecture.experts is not None and architecture.name != "llama":
        raise BrokenGGUF(
            file, f"{fields.architecture}.expert_count is missing; allowed: 1 or more for this architecture"
        )
    if sizes.n_experts and architecture.experts is not None:
        _refuse_routers(fields, architecture.experts)
    if fields.integer("attention.value_length", sizes.dim, default=sizes.head_dim) != sizes.head_dim:
        raise Unsupported(file, "the size of a value head", "not that of a key head")
    if fields.get("attention.causal") is False:
        raise Unsupported(file, "its attention", "not causal", ("causal",))


def _refuse_routers(fields: Fields, experts: Experts) -> None:
    """Refuse routers that choose or weigh otherwise than the family's do (DeepSeek's and GLM's, say)."""

    def refuse(key: str, found: object, allowed: str) -> None:
        raise Unsupported(fields.file, f"{fields.architecture}.{key}", str(found), (allowed,))

    gating = fields.integer("expert_gating_func", 1 << 16, default=0, least=0)
    if gating not in SOFTMAX_GATES:
        refuse("expert_gating_func", gating, "1 (softmax), 3 (softmax over the chosen)")
    scale = fields.real("expert_weights_scale", -1e6, 1e6, default=1.0)
    if scale not in (0.0, 1.0):  # 0: there is none
        refuse("expert_weights_scale", scale, "1")
    if fields.get("expert_weights_norm") is (not experts.sums_to_one):
        refuse("expert_weights_norm", not experts.sums_to_one, str(experts.sums_to_one))
    for key, most in (("expert_group_count", 1), ("leading_dense_block_count", 0)):
        found = fields.integer(key, 1 << 16, default=0, least=0)
        if found > most:
            refuse(key, found, str(most))


__all__ = ["HParams", "read_hparams"]
