"""The numbers behind the Learn page's charts, computed here and now; plain arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from wse_backend.wafer.shapes import BYTES_PER_VALUE, PRESETS, ModelShape
from wse_backend.wafer.spec import WSE3
from wse_backend.wafer.timing import decode, decode_seconds, prefill_seconds
from wse_backend.wafer.timing.interval import Interval, interval, plus

CONTEXTS = (512, 1024, 2048, 4096, 8192, 16_384, 32_768)
PROMPTS = (128, 512, 1024, 2048, 4096)
CACHED_MODELS = ("llama3-8b", "llama2-13b", "qwen2-72b")


def prompt_tokens(n_layers: int, n_agents: int, answer: int, question: int) -> list[tuple[str, int, int]]:
    """Per layer: name, calls, prompt tokens of each call: every layer reads all of the one before."""
    rows = [
        (f"Agent layer {number}", n_agents, question + (0 if number == 1 else n_agents * answer))
        for number in range(1, n_layers + 1)
    ]
    return [*rows, ("Summarizer", 1, question + n_agents * answer)]


def router_weights(n_experts: int, n_chosen: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A router at work on one token: softmax over all experts, and the weights of the `n_chosen` best.

    Weights are drawn (this is no trained model): scores = W x with W (n_experts, 32), x (32,).
    Returns two float64 (n_experts,); the second is 0 for experts that were not chosen and sums to 1.
    """
    source = np.random.default_rng(seed)
    scores = source.normal(size=(n_experts, 32)) @ source.normal(size=32) / np.sqrt(8.0)
    shares = np.exp(scores - scores.max())
    shares /= shares.sum()
    chosen = np.zeros(n_experts)
    best = np.argsort(shares)[-n_chosen:]
    chosen[best] = shares[best] / shares[best].sum()
    return shares, chosen


def bytes_per_token(model_bytes: float, tokens_per_pass: Sequence[int]) -> list[float]:
    """Bytes of weights read for each token, when one pass over the weights serves so many tokens."""
    return [model_bytes / tokens for tokens in tokens_per_pass]


def cache_bytes(shape: ModelShape, context: int) -> int:
    """The KV cache of one conversation: keys and values of every layer, 2 bytes each."""
    return 2 * shape.n_layers * shape.kv_dim * BYTES_PER_VALUE * context


def cache_curves() -> dict[str, list[float]]:
    """Gigabytes of KV cache over CONTEXTS, per model."""
    return {
        name: [cache_bytes(PRESETS[name], context) / 1e9 for context in CONTEXTS] for name in CACHED_MODELS
    }


def first_token_curve(model: str = "llama3-8b") -> list[Interval]:
    """Milliseconds until the first token over PROMPTS on a WSE-3: prefill, then one decode step; modelled."""
    step = token_interval(model)
    return [plus(_read(PRESETS[model], tokens), step).scaled(1e3) for tokens in PROMPTS]


def _read(shape: ModelShape, tokens: int) -> Interval:
    return interval(lambda c: prefill_seconds(shape, WSE3, 600, tokens, constants=c), "prefill")


def token_interval(model: str = "llama3-8b") -> Interval:
    """Seconds of one output token behind 4,096 on a WSE-3, LM head included; modelled."""
    shape = PRESETS[model]
    return interval(lambda c: decode_seconds(shape, WSE3, 420, 4096, constants=c), "decode")


def decode_causes(model: str = "llama3-8b") -> dict[str, float]:
    """Microseconds of one output token on a WSE-3 by cause, LM head included; modelled."""
    timing = decode(PRESETS[model], WSE3, grid=(420, 420), context=4096)
    return {cause: 1e6 * seconds for cause, seconds in timing.causes.items()}


def likely_tokens(
    logits: np.ndarray, word: Callable[[int], str], temperature: float, top: int
) -> list[tuple[str, float]]:
    """The `top` likeliest next tokens and their probabilities at a temperature above 0.

    logits: float (vocab_size,); word: the text of a token id.
    """
    scaled = logits.astype(np.float64) / temperature
    shares = np.exp(scaled - scaled.max())
    shares /= shares.sum()
    best = np.argsort(shares)[::-1][:top]
    return [(word(int(token)), float(shares[token])) for token in best]


def looks_at(weights: np.ndarray, words: Sequence[str]) -> str:
    """The last token's strongest look at an earlier one that is not the first, in a sentence; "" without one.

    weights: float (n, n), row i: what token i takes of each token.
    """
    if len(words) < 3:
        return ""
    row = weights[-1, 1:-1]
    best = 1 + int(row.argmax())
    return f"Here “{words[-1].strip()}” looks most at “{words[best].strip()}” ({row.max():.0%} of it)."
