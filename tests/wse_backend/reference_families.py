"""Every family again as plain float32 numpy, written from the papers and model code that the comments name.

Shares nothing with the engine: the file is read by the gguf library's own reader, and what a family does
stands here once more, by its name, layer by layer over the whole text.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFReader
from gguf.quants import dequantize

INTERLEAVED = {"llama", "granite", "granitemoe", "smollm3"}


class Reference:
    """A model that computes the logits of a whole text at once."""

    def __init__(self, path: Path) -> None:
        reader = GGUFReader(path)
        self.fields = {name: field.contents() for name, field in reader.fields.items()}
        self.arch = str(self.fields["general.architecture"])
        self.tensors = {tensor.name: tensor for tensor in reader.tensors}
        self.n_layers = int(self.value("block_count"))
        self.n_heads = int(self.value("attention.head_count"))
        self.n_kv = int(self.value("attention.head_count_kv"))
        self.dim = int(self.value("embedding_length"))
        self.head_dim = int(self.value("attention.key_length", self.dim // self.n_heads))
        self.eps = np.float32(self.value("attention.layer_norm_rms_epsilon"))
        self.routers: list[np.ndarray] = []  # of each layer so far: the router's logits of every token
        self.attention_weights: list[np.ndarray] = []  # of the layers computed so far, (heads, n, n)

    def value(self, key: str, default: Any = None) -> Any:
        return self.fields.get(f"{self.arch}.{key}", default)

    def weight(self, name: str) -> np.ndarray:
        tensor = self.tensors[name]
        return dequantize(tensor.data, tensor.tensor_type).astype(np.float32)

    def logits(self, ids: list[int]) -> np.ndarray:
        """float32 (tokens, vocab)."""
        embedding = self.weight("token_embd.weight")
        x = embedding[ids]
        if self.arch.startswith("gemma"):
            x = x * np.float32(math.sqrt(self.dim))
        x = x * np.float32(self.value("embedding_scale", 1.0))
        for layer in range(self.n_layers):
            x = self.layer(x, layer)
        head = self.weight("output.weight") if "output.weight" in self.tensors else embedding
        out = self.norm(x, self.weight("output_norm.weight")) @ head.T
        out = out / np.float32(self.value("logit_scale", 1.0))
        cap = self.value("final_logit_softcapping")
        return np.tanh(out / cap) * np.float32(cap) if cap else out

    def layer(self, x: np.ndarray, layer: int) -> np.ndarray:
        start = f"blk.{layer}."
        w = {name[len(start) :]: self.weight(name) for name in self.tensors if name.startswith(start)}
        scale = np.float32(self.value("residual_scale", 1.0))
        for before, part, after in (
            ("attn_norm.weight", self.attention, "post_attention_norm.weight"),
            (self.ffn_norm, self.feed_forward, "post_ffw_norm.weight"),
        ):
            h = self.norm(x, w[before]) if before in w and self.arch != "olmo2" else x
            h = part(h, w, layer)
            if after in w and self.arch != "gpt-oss":
                h = self.norm(h, w[after])
            x = x + scale * h
        return x

    @property
    def ffn_norm(self) -> str:
        return "post_attention_norm.weight" if self.arch == "gpt-oss" else "ffn_norm.weight"

    def norm(self, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        return x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + self.eps) * weight

    # --- attention ---

    def attention(self, h: np.ndarray, w: dict[str, np.ndarray], layer: int) -> np.ndarray:
        n, q_dim, kv_dim = len(h), self.n_heads * self.head_dim, self.n_kv * self.head_dim
        if "attn_qkv.weight" in w:
            q, k, v = np.split(h @ w["attn_qkv.weight"].T, [q_dim, q_dim + kv_dim], axis=1)
        else:
            q, k, v = (
                h @ w[f"attn_{part}.weight"].T + w.get(f"attn_{part}.bias", np.float32(0)) for part in "qkv"
            )
        if self.arch in ("olmo2", "olmoe"):  # norms of the whole row
            q, k = self.norm(q, w["attn_q_norm.weight"]), self.norm(k, w["attn_k_norm.weight"])
        q, k, v = (part.reshape(n, -1, self.head_dim).transpose(1, 0, 2) for part in (q, k, v))
        if self.arch in ("qwen3", "qwen3moe", "gemma3"):  # norms of each head
            q, k = self.norm(q, w["attn_q_norm.weight"]), self.norm(k, w["attn_k_norm.weight"])
        q, k = self.rope(q, layer), self.rope(k, layer)
        group = self.n_heads // self.n_kv
        scores = q @ np.repeat(k, group, axis=0).transpose(0, 2, 1)
        scores = scores * np.float32(self.value("attention.scale") or 1 / math.sqrt(self.head_dim))
        cap = self.value("attn_logit_softcapping")
        if cap:
            scores = np.tanh(scores / cap) * np.float32(cap)
        scores = np.where(self.sees(n, layer), scores, -np.inf)
        if "attn_sinks.weight" in w:  # gpt-oss: a column more, that is dropped after the softmax
            sinks = np.broadcast_to(w["attn_sinks.weight"][:, None, None], (self.n_heads, n, 1))
            scores = np.concatenate([scores, sinks], axis=2)
        weights = softmax(scores)[:, :, :n]
        self.attention_weights.append(weights)
        mixed = (weights @ np.repeat(v, group, axis=0)).transpose(1, 0, 2).reshape(n, -1)
        return mixed @ w["attn_output.weight"].T + w.get("attn_output.bias", np.float32(0))

    def sees(self, n: int, layer: int) -> np.ndarray:
        """Which positions (columns) each one (rows) sees."""
        distance = np.arange(n)[:, None] - np.arange(n)[None, :]
        window = self.value("attention.sliding_window", 0)
        return (distance >= 0) & ((distance < window) if window and self.is_local(layer) else True)

    def is_local(self, layer: int) -> bool:
        if not self.value("attention.sliding_window", 0):
            return False
        every = {"gemma2": 2, "gemma3": 6, "olmo2": 4, "gpt-oss": 2}.get(self.arch)
        return self.arch == "phi3" or (every is not None and layer % every < every - 1)

    def rope(self, heads: np.ndarray, layer: int) -> np.ndarray:
        if self.arch == "smollm3" and layer % 4 == 3:
            return heads
        n, dim = heads.shape[1], int(self.value("rope.dimension_count", self.head_dim))
        inverse, factor = self.frequencies(dim, layer)
        angles = np.outer(np.arange(n), inverse)
        cos, sin = (
            (np.cos(angles) * factor).astype(np.float32),
            (np.sin(angles) * factor).astype(np.float32),
        )
        out = heads.copy()
        if self.arch in INTERLEAVED:
            first, second = slice(0, dim, 2), slice(1, dim, 2)
        else:
            first, second = slice(0, dim // 2), slice(dim // 2, dim)
        x, y = heads[:, :, first], heads[:, :, second]
        out[:, :, first], out[:, :, second] = x * cos - y * sin, x * sin + y * cos
        return out

    def frequencies(self, dim: int, layer: int) -> tuple[np.ndarray, float]:
        theta = float(self.value("rope.freq_base", 10000.0))
        if self.arch == "gemma3" and self.is_local(layer):
            theta = 10000.0
        inverse = 1.0 / theta ** (np.arange(0, dim, 2) / dim)
        kind, factor = self.value("rope.scaling.type"), float(self.value("rope.scaling.factor", 1.0))
        if self.is_local(layer) and self.arch in ("gemma3", "olmo2"):
            return inverse, 1.0
        if "rope_freqs.weight" in self.tensors:
            inverse = inverse / self.weight("rope_freqs.weight")
        if "rope_factors_short.weight" in self.tensors:  # longrope: by the context that is used
            is_long = self.value("context_length") > self.value("rope.scaling.original_context_length")
            inverse = inverse / self.weight(f"rope_factors_{'long' if is_long else 'short'}.weight")
        if kind == "linear":
            return inverse / factor, 1.0
        if kind != "yarn":
            return inverse, 1.0
        # YaRN, as in the authors' code (jquesnelle/yarn, modeling_llama_yarn.py)
        n_ctx = self.value("rope.scaling.original_context_length")
        bounds = [
            dim * math.log(n_ctx / (turns * 2 * math.pi)) / (2 * math.log(theta)) for turns in (32.0, 1.0)
        ]
        low, high = max(math.floor(bounds[0]), 0), min(math.ceil(bounds[1]), dim - 1)
        ramp = np.clip((np.arange(dim // 2) - low) / max(high - low, 0.001), 0, 1)
        return inverse / factor * ramp + inverse * (1 - ramp), 0.1 * math.log(factor) + 1.0

    # --- the feed-forward network ---

    def feed_forward(self, h: np.ndarray, w: dict[str, np.ndarray], layer: int) -> np.ndarray:
        if "ffn_gate_inp.weight" in w:
            return self.experts(h, w)
        if "ffn_gate.weight" in w:
            gate, up = h @ w["ffn_gate.weight"].T, h @ w["ffn_up.weight"].T
        else:  # phi3
            gate, up = np.split(h @ w["ffn_up.weight"].T, 2, axis=1)
        return self.gated(gate, up) @ w["ffn_down.weight"].T

    def gated(self, gate: np.ndarray, up: np.ndarray) -> np.ndarray:
        if self.arch == "gpt-oss":
            gate, up = np.minimum(gate, 7), np.clip(up, -7, 7)
            return gate / (1 + np.exp(-1.702 * gate)) * (up + 1)
        if self.arch.startswith("gemma"):
            z = math.sqrt(2 / math.pi) * (gate + 0.044715 * gate**3)
            return (0.5 * gate * (1 + np.tanh(z)) * up).astype(np.float32)
        return gate / (1 + np.exp(-gate)) * up

    def experts(self, h: np.ndarray, w: dict[str, np.ndarray]) -> np.ndarray:
        """Token by token: the chosen experts one after another."""
        k = int(self.value("expert_used_count"))
        router = h @ w["ffn_gate_inp.weight"].T + w.get("ffn_gate_inp.bias", np.float32(0))
        self.routers.append(router)
        out = np.zeros((len(h), self.dim), np.float32)
        for token, row in enumerate(router):
            chosen = np.argsort(-row, kind="stable")[:k]
            is_of_all = self.arch in ("qwen2moe", "olmoe")  # those shares do not sum to one
            shares = softmax(row)[chosen] if is_of_all else softmax(row[chosen])
            for expert, share in zip(chosen, shares, strict=True):
                out[token] += share * self.expert(h[token], w, int(expert))
        if "ffn_up_shexp.weight" in w:
            shared = self.gated(h @ w["ffn_gate_shexp.weight"].T, h @ w["ffn_up_shexp.weight"].T)
            shared = shared @ w["ffn_down_shexp.weight"].T
            if "ffn_gate_inp_shexp.weight" in w:
                shared = shared / (1 + np.exp(-(h @ w["ffn_gate_inp_shexp.weight"])))[:, None]
            out = out + shared
        return out

    def expert(self, x: np.ndarray, w: dict[str, np.ndarray], expert: int) -> np.ndarray:
        def part(name: str, value: np.ndarray) -> np.ndarray:
            bias = w[f"ffn_{name}_exps.bias"][expert] if f"ffn_{name}_exps.bias" in w else np.float32(0)
            return w[f"ffn_{name}_exps.weight"][expert] @ value + bias

        return part("down", self.gated(part("gate", x), part("up", x)))


def softmax(x: np.ndarray) -> np.ndarray:
    exps = np.exp(x - x.max(axis=-1, keepdims=True))
    return exps / exps.sum(axis=-1, keepdims=True)
