"""Figures of a router's choices: how often each expert is chosen, and how evenly."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wse_backend.engine.completion import RoutedTokens


def use_of_experts(routed: RoutedTokens) -> npt.NDArray[np.float64]:
    """The share of each layer's choices that falls on each expert: float64 (n_layers, n_experts)."""
    n_layers, n_tokens, n_active = routed.chosen.shape
    counts = np.zeros((n_layers, routed.n_experts))
    for layer in range(n_layers):
        counts[layer] = np.bincount(routed.chosen[layer].ravel(), minlength=routed.n_experts)
    counts /= max(1, n_tokens * n_active)
    return counts


def entropy_bits(shares: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Shannon's entropy of each row in bits; log2 of the number of experts when all are used alike."""
    logs = np.log2(shares, where=shares > 0, out=np.zeros_like(shares))
    bits: npt.NDArray[np.float64] = -(shares * logs).sum(axis=1)
    return bits
