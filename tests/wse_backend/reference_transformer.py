"""The whole model again as plain float32 numpy over dequantized weights: what the engine is held against.

Shares nothing with the engine: the file is read by the gguf library's own reader, weights are dequantized
by its `quants.dequantize`, attention is the textbook's matrix form without cache, blocks or batching.
"""

from pathlib import Path

import numpy as np
from gguf import GGUFReader
from gguf.quants import dequantize


def reference_logits(path: Path, texts: list[list[int]]) -> list[np.ndarray]:
    """Return float32 (tokens, vocab) logits of a llama or qwen2 GGUF for each list of token ids."""
    reader = GGUFReader(path)
    fields, tensors = reader.fields, {tensor.name: tensor for tensor in reader.tensors}
    arch = fields["general.architecture"].contents()

    def weight(name: str) -> np.ndarray:
        tensor = tensors[name]
        return dequantize(tensor.data, tensor.tensor_type).astype(np.float32)

    def header(key: str) -> float:
        return fields[f"{arch}.{key}"].contents()

    n_heads, n_kv = int(header("attention.head_count")), int(header("attention.head_count_kv"))
    eps, theta = header("attention.layer_norm_rms_epsilon"), header("rope.freq_base")
    embedding = weight("token_embd.weight")
    streams = [embedding[ids] for ids in texts]
    for layer in range(int(header("block_count"))):
        names = [name for name in tensors if name.startswith(f"blk.{layer}.")]
        w = {name.split(".", 2)[2]: weight(name) for name in names}  # one layer at a time: memory
        streams = [_layer(x, w, n_heads, n_kv, eps, theta, arch) for x in streams]
    head = weight("output.weight") if "output.weight" in tensors else embedding
    return [_norm(x, weight("output_norm.weight"), eps) @ head.T for x in streams]


def _layer(
    x: np.ndarray, w: dict, n_heads: int, n_kv: int, eps: float, theta: float, arch: str
) -> np.ndarray:
    n = len(x)
    causal = np.where(np.tril(np.ones((n, n), bool)), 0, -np.inf).astype(np.float32)
    h = _norm(x, w["attn_norm.weight"], eps)
    q, k, v = (
        _heads(h @ w[f"attn_{part}.weight"].T + w.get(f"attn_{part}.bias", np.float32(0)), count)
        for part, count in (("q", n_heads), ("k", n_kv), ("v", n_kv))
    )
    q, k = _rope(q, theta, arch), _rope(k, theta, arch)
    k, v = np.repeat(k, n_heads // n_kv, axis=0), np.repeat(v, n_heads // n_kv, axis=0)
    scores = q @ k.transpose(0, 2, 1) / np.float32(np.sqrt(q.shape[2])) + causal
    weights = np.exp(scores - scores.max(axis=2, keepdims=True))
    weights /= weights.sum(axis=2, keepdims=True)
    mixed = (weights @ v).transpose(1, 0, 2).reshape(n, -1)
    x = x + mixed @ w["attn_output.weight"].T
    h = _norm(x, w["ffn_norm.weight"], eps)
    gate, up = h @ w["ffn_gate.weight"].T, h @ w["ffn_up.weight"].T
    return x + (gate / (1 + np.exp(-gate)) * up) @ w["ffn_down.weight"].T


def mean_kl(reference: np.ndarray, found: np.ndarray) -> float:
    """Mean over positions of KL(softmax(reference) || softmax(found)), in nats, computed in float64."""
    p, q = (_log_softmax(logits.astype(np.float64)) for logits in (reference, found))
    return float((np.exp(p) * (p - q)).sum(axis=1).mean())


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def _norm(x: np.ndarray, weight: np.ndarray, eps: float) -> np.ndarray:
    return x / np.sqrt((x * x).mean(axis=1, keepdims=True) + np.float32(eps)) * weight


def _heads(rows: np.ndarray, count: int) -> np.ndarray:
    return rows.reshape(len(rows), count, -1).transpose(1, 0, 2)


def _rope(heads: np.ndarray, theta: float, arch: str) -> np.ndarray:
    """llama files have neighbouring pairs, qwen2 files pair the two halves of a head."""
    dim = heads.shape[2]
    angles = np.outer(np.arange(heads.shape[1]), theta ** (-np.arange(0, dim, 2) / dim))
    cos, sin = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
    out = np.empty_like(heads)
    first, second = (
        (slice(0, None, 2), slice(1, None, 2))
        if arch == "llama"
        else (slice(0, dim // 2), slice(dim // 2, None))
    )
    x, y = heads[:, :, first], heads[:, :, second]
    out[:, :, first], out[:, :, second] = x * cos - y * sin, x * sin + y * cos
    return out
