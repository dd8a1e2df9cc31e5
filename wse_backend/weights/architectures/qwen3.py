"""Qwen3 (Yang et al. 2025, arXiv 2505.09388): no biases; each head's queries and keys are normalised."""

from wse_backend.weights.architectures.description import Architecture

QWEN3 = Architecture(name="qwen3", models="Qwen3, dense", qk_norm="head")
