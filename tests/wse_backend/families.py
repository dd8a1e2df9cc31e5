"""A tiny GGUF with random weights of every family that the engine runs, written with the `gguf` library."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from tests.wse_backend.tiny_gguf import write_tiny_gguf

DIM, HIDDEN, N_HEADS, N_KV, HEAD_DIM = 64, 96, 4, 2, 16
Q_DIM, KV_DIM = N_HEADS * HEAD_DIM, N_KV * HEAD_DIM
N_EXPERTS, N_ACTIVE, EXPERT_HIDDEN, SHARED_HIDDEN = 8, 2, 32, 64
Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Family:
    """One file to make. values: header values after the architecture's name; layer: what differs in a layer's
    tensors, None to leave one out; whole: tensors beside the layers.
    """

    architecture: str
    n_layers: int = 3
    values: dict[str, Any] = field(default_factory=dict)
    layer: dict[str, tuple[int, ...] | None] = field(default_factory=dict)
    whole: Shapes = field(default_factory=dict)
    n_vocab: int = 264


_QKV_BIAS: Shapes = {"attn_q.bias": (Q_DIM,), "attn_k.bias": (KV_DIM,), "attn_v.bias": (KV_DIM,)}
_HEAD_NORMS: Shapes = {"attn_q_norm.weight": (HEAD_DIM,), "attn_k_norm.weight": (HEAD_DIM,)}
_ROW_NORMS: Shapes = {"attn_q_norm.weight": (Q_DIM,), "attn_k_norm.weight": (KV_DIM,)}
_AFTER: Shapes = {"post_attention_norm.weight": (DIM,), "post_ffw_norm.weight": (DIM,)}
_OUTPUT: Shapes = {"output.weight": (264, DIM)}
_HEAD_SIZE = {"attention.key_length": HEAD_DIM, "attention.value_length": HEAD_DIM}
_GRANITE = {"embedding_scale": 12.0, "residual_scale": 0.22, "attention.scale": 0.1, "logit_scale": 6.0}
_YARN = {
    "rope.scaling.type": "yarn",
    "rope.scaling.factor": 8.0,
    "rope.scaling.original_context_length": 32,
}

DENSE: dict[str, Family] = {
    "llama": Family("llama"),
    "llama, linear": Family(
        "llama", values={"rope.scaling.type": "linear", "rope.scaling.factor": 4.0}, whole=_OUTPUT
    ),
    "llama, rope_freqs": Family("llama", whole={"rope_freqs.weight": (HEAD_DIM // 2,)}),
    "llama, yarn": Family("llama", values=_YARN),
    "llama, biases": Family("llama", layer=dict(_QKV_BIAS)),
    "qwen2": Family("qwen2", layer=dict(_QKV_BIAS), whole=_OUTPUT),
    "qwen3": Family("qwen3", values=_HEAD_SIZE, layer=dict(_HEAD_NORMS)),
    "gemma2": Family(
        "gemma2",
        values={
            **_HEAD_SIZE,
            "attention.sliding_window": 7,
            "attn_logit_softcapping": 5.0,
            "final_logit_softcapping": 3.0,
        },
        layer=dict(_AFTER),
    ),
    "gemma3": Family(
        "gemma3",
        n_layers=7,
        values={
            **_HEAD_SIZE,
            "attention.sliding_window": 5,
            "rope.freq_base": 1e6,
            "rope.scaling.type": "linear",
            "rope.scaling.factor": 8.0,
        },
        layer={**_AFTER, **_HEAD_NORMS},
    ),
    "phi3": Family(
        "phi3",
        values={"rope.dimension_count": 12, "rope.scaling.original_context_length": 64},
        layer={
            "attn_q.weight": None,
            "attn_k.weight": None,
            "attn_v.weight": None,
            "ffn_gate.weight": None,
            "attn_qkv.weight": (Q_DIM + 2 * KV_DIM, DIM),
            "ffn_up.weight": (2 * HIDDEN, DIM),
        },
        whole={**_OUTPUT, "rope_factors_long.weight": (6,), "rope_factors_short.weight": (6,)},
    ),
    "granite": Family("granite", values=_GRANITE),
    "smollm3": Family("smollm3", n_layers=5),
    "olmo2": Family(
        "olmo2",
        n_layers=5,
        layer={"attn_norm.weight": None, "ffn_norm.weight": None, **_AFTER, **_ROW_NORMS},
        whole=_OUTPUT,
    ),
    "olmo2, windows and yarn": Family(
        "olmo2",
        n_layers=5,
        values={**_YARN, "attention.sliding_window": 6},
        layer={"attn_norm.weight": None, "ffn_norm.weight": None, **_AFTER, **_ROW_NORMS},
        whole=_OUTPUT,
    ),
}


_EXPERTS: dict[str, tuple[int, ...] | None] = {
    "ffn_gate.weight": None,
    "ffn_up.weight": None,
    "ffn_down.weight": None,
    "ffn_gate_inp.weight": (N_EXPERTS, DIM),
    "ffn_gate_exps.weight": (N_EXPERTS, EXPERT_HIDDEN, DIM),
    "ffn_up_exps.weight": (N_EXPERTS, EXPERT_HIDDEN, DIM),
    "ffn_down_exps.weight": (N_EXPERTS, DIM, EXPERT_HIDDEN),
}
_SHARED: Shapes = {
    "ffn_gate_shexp.weight": (SHARED_HIDDEN, DIM),
    "ffn_up_shexp.weight": (SHARED_HIDDEN, DIM),
    "ffn_down_shexp.weight": (DIM, SHARED_HIDDEN),
}
_COUNTS = {"expert_count": N_EXPERTS, "expert_used_count": N_ACTIVE}
_WIDTHS = {**_COUNTS, "expert_feed_forward_length": EXPERT_HIDDEN}

EXPERTS: dict[str, Family] = {
    "llama, experts": Family(
        "llama", values={**_COUNTS, "feed_forward_length": EXPERT_HIDDEN}, layer=dict(_EXPERTS)
    ),
    "qwen2moe": Family(
        "qwen2moe",
        values={**_WIDTHS, "expert_shared_feed_forward_length": SHARED_HIDDEN},
        layer={**_EXPERTS, **_QKV_BIAS, **_SHARED, "ffn_gate_inp_shexp.weight": (DIM,)},
        whole=_OUTPUT,
    ),
    "qwen3moe": Family(
        "qwen3moe", values={**_WIDTHS, **_HEAD_SIZE}, layer={**_EXPERTS, **_HEAD_NORMS}, whole=_OUTPUT
    ),
    "olmoe": Family(
        "olmoe",
        values={**_COUNTS, "feed_forward_length": EXPERT_HIDDEN, "attention.head_count_kv": N_HEADS},
        layer={
            **_EXPERTS,
            "attn_q_norm.weight": (Q_DIM,),
            "attn_k_norm.weight": (Q_DIM,),
            "attn_k.weight": (Q_DIM, DIM),
            "attn_v.weight": (Q_DIM, DIM),
        },
        whole=_OUTPUT,
    ),
    "granitemoe": Family(
        "granitemoe",
        values={**_COUNTS, **_GRANITE, "feed_forward_length": EXPERT_HIDDEN},
        layer=dict(_EXPERTS),
    ),
    "granitemoe, shared": Family(
        "granitemoe",
        values={
            **_COUNTS,
            **_GRANITE,
            "feed_forward_length": EXPERT_HIDDEN,
            "expert_shared_feed_forward_length": SHARED_HIDDEN,
        },
        layer={**_EXPERTS, **_SHARED},
    ),
    "gpt-oss": Family(
        "gpt-oss",
        n_layers=4,
        values={**_WIDTHS, **_HEAD_SIZE, **_YARN, "attention.sliding_window": 6},
        layer={
            **_EXPERTS,
            **_QKV_BIAS,
            "ffn_norm.weight": None,
            "post_attention_norm.weight": (DIM,),
            "attn_output.bias": (DIM,),
            "attn_sinks.weight": (N_HEADS,),
            "ffn_gate_inp.bias": (N_EXPERTS,),
            "ffn_gate_exps.bias": (N_EXPERTS, EXPERT_HIDDEN),
            "ffn_up_exps.bias": (N_EXPERTS, EXPERT_HIDDEN),
            "ffn_down_exps.bias": (N_EXPERTS, DIM),
        },
        whole=_OUTPUT,
    ),
}

FAMILIES = {**DENSE, **EXPERTS}
IDS = [int(token) for token in np.random.default_rng(1).integers(3, 264, 40)]


def _layer_shapes() -> Shapes:
    """A llama layer's tensors."""
    return {
        "attn_norm.weight": (DIM,),
        "attn_q.weight": (Q_DIM, DIM),
        "attn_k.weight": (KV_DIM, DIM),
        "attn_v.weight": (KV_DIM, DIM),
        "attn_output.weight": (DIM, Q_DIM),
        "ffn_norm.weight": (DIM,),
        "ffn_gate.weight": (HIDDEN, DIM),
        "ffn_up.weight": (HIDDEN, DIM),
        "ffn_down.weight": (DIM, HIDDEN),
    }


def shapes_of(family: Family) -> Shapes:
    """Every tensor of the file with its shape."""
    found: Shapes = {"token_embd.weight": (family.n_vocab, DIM), "output_norm.weight": (DIM,), **family.whole}
    for layer in range(family.n_layers):
        for name, shape in {**_layer_shapes(), **family.layer}.items():
            if shape is not None:
                found[f"blk.{layer}.{name}"] = shape
    return found


def random_tensors(shapes: Shapes, seed: int = 7) -> dict[str, np.ndarray]:
    """Random float32: norms and RoPE's factors around 1, the rest around 0."""
    rng = np.random.default_rng(seed)
    found = {}
    for name, shape in shapes.items():
        is_factor = "norm" in name or "rope" in name
        values = 0.15 * rng.standard_normal(shape)
        found[name] = np.abs(1.0 + values).astype(np.float32) if is_factor else values.astype(np.float32)
    return found


def write_family(
    path: Path,
    family: Family,
    *,
    quantize: gguf.GGMLQuantizationType = gguf.GGMLQuantizationType.Q8_0,
    changes: dict[str, Any] | None = None,
    tensor_changes: dict[str, np.ndarray | None] | None = None,
    n_layers: int = 0,
) -> Path:
    """Write the tiny model of a family to `path`; `n_layers` in place of its own number."""
    family = replace(family, n_layers=n_layers or family.n_layers)
    arch = family.architecture
    values = {f"{arch}.{key}": value for key, value in family.values.items()}
    values = {f"{arch}.block_count": family.n_layers, **values, **(changes or {})}
    absent = dict.fromkeys(_llama_tensors())
    arrays = {**absent, **random_tensors(shapes_of(family)), **(tensor_changes or {})}
    return write_tiny_gguf(path, arch, changes=values, tensor_changes=arrays, quantize=quantize)


def _llama_tensors() -> list[str]:
    """Names that the tiny llama or qwen2 has, and a family may not."""
    layers = [f"blk.{layer}.{name}" for layer in range(2) for name in (*_layer_shapes(), *_QKV_BIAS)]
    return [*layers, "output.weight"]


__all__ = ["FAMILIES", "IDS", "Family", "shapes_of", "write_family"]
