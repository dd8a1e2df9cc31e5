"""What distinguishes one family of transformers from another, as a value.

Everything here is a decoder of the same kind: embed; per layer attention and a gated feed-forward network,
each added to the residual; then the head. The defaults are those of Llama 2. A family's file names what it
does otherwise; sizes and factors stand in each model's own header (`hparams.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Experts:
    """How a layer chooses among its experts, for the files of a family that have any.

    sums_to_one: the chosen experts' weights are a softmax over the chosen ones; otherwise their shares of a
    softmax over all. is_biased: router and experts have biases. shared: an expert that every token passes
    as well: "gated" by a sigmoid of its own (Qwen), "plain" where the file has one (Granite), or "none".
    """

    sums_to_one: bool = True
    is_biased: bool = False
    shared: Literal["none", "gated", "plain"] = "none"


@dataclass(frozen=True)
class Architecture:
    """One family, under the name that its files have in `general.architecture`.

    models: which published models are of it, for people.
    rope_style: which elements of a head RoPE turns together. "interleaved": (0, 1), (2, 3), ...: such files
    have their Q and K rows permuted for it. "half": (i, i + rope_dim / 2).
    qkv_bias: "file": where the file has them. qk_norm: RMS norm of queries and keys before RoPE, of each
    "head" or of the whole "row". norms: "before" attention and feed-forward network, "after" them, "around".
    ffn_norm: the name of the norm before the feed-forward network.
    activation: of the gate; "clamped" is gpt-oss's: min(g, 7) * sigmoid(1.702 g) * (clamp(u, +-7) + 1).
    is_fused: Q, K and V are one matrix, gate and up another. scales_embedding: by sqrt(dim).
    full_attention_every: of so many layers the last sees all positions, the others the header's window;
    0: that window holds for every layer; None: no layer has one.
    layers_scaled_by_width: a model of so many layers scales queries by dim / n_heads, not by the head's size.
    local_rope_theta: of the layers with a window, whose RoPE is then not scaled; 0: the header's base; None:
    they turn as the others.
    turns_every_layer_but: of so many layers the last has no RoPE at all (SmolLM3's NoPE); 0: all turn.
    has_sinks: a learned logit per head joins each softmax of attention and takes no value with it.
    """

    name: str
    models: str
    rope_style: Literal["interleaved", "half"] = "half"
    qkv_bias: Literal["no", "yes", "file"] = "no"
    has_output_bias: bool = False
    qk_norm: Literal["none", "head", "row"] = "none"
    norms: Literal["before", "after", "around"] = "before"
    ffn_norm: str = "ffn_norm"
    activation: Literal["silu", "gelu", "clamped"] = "silu"
    is_fused: bool = False
    scales_embedding: bool = False
    full_attention_every: int | None = None
    local_rope_theta: float | None = None
    turns_every_layer_but: int = 0
    has_sinks: bool = False
    layers_scaled_by_width: int = 0
    experts: Experts | None = None
