"""Which earlier tokens a token looks at, in one layer of a model: for people, computed anew on request.

Plain numpy on the queries and keys that the engine's own pass has computed, so it holds for every family:
what their layers do before attention (norms, biases, RoPE, experts) is the engine's, only the softmax is
written a second time.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wse_backend.weights.hparams import HParams

Floats = npt.NDArray[np.float32]


def attention_weights(qkv: Floats, hp: HParams, layer: int, sinks: Floats | None = None) -> Floats:
    """Softmax of the scaled scores: float32 (n_heads, n, n), [h, i, j]: how much token i takes of token j.

    qkv: float32 (n, q_dim + 2 kv_dim) of a text from its first token on, after RoPE, queries scaled. sinks:
    float32 (n_heads,), a logit more in each softmax that takes no value (gpt-oss); such rows sum to less
    than 1. Vaswani et al. 2017 (arXiv 1706.03762), eq. 1.
    """
    n, q_dim, kv_dim = len(qkv), hp.n_heads * hp.head_dim, hp.n_kv_heads * hp.head_dim
    queries = qkv[:, :q_dim].reshape(n, hp.n_heads, hp.head_dim).transpose(1, 0, 2)
    keys = qkv[:, q_dim : q_dim + kv_dim].reshape(n, hp.n_kv_heads, hp.head_dim).transpose(1, 2, 0)
    scores = queries @ np.repeat(keys, hp.n_heads // hp.n_kv_heads, axis=0)
    if hp.attention_softcap:
        scores = np.tanh(scores / hp.attention_softcap) * np.float32(hp.attention_softcap)
    scores = np.where(seen(n, hp.windows[layer]), scores, -np.inf)
    highest = scores.max(axis=2, keepdims=True)
    if sinks is not None:
        highest = np.maximum(highest, sinks[:, None, None])
    weights = np.exp(scores - highest)
    total = weights.sum(axis=2, keepdims=True)
    if sinks is not None:
        total = total + np.exp(sinks[:, None, None] - highest)
    found: Floats = (weights / total).astype(np.float32)
    return found


def seen(n: int, window: int) -> npt.NDArray[np.bool_]:
    """Which positions (columns) each of the first `n` (rows) sees; window: the last so many, 0 for all."""
    distance = np.arange(n)[:, None] - np.arange(n)[None, :]
    return (distance >= 0) & (distance < (window or n))
