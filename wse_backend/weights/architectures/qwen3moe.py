"""Qwen3 with experts (Yang et al. 2025, arXiv 2505.09388): Qwen3's attention, no shared expert."""

from wse_backend.weights.architectures.description import Architecture, Experts

QWEN3MOE = Architecture(
    name="qwen3moe", models="Qwen3-30B-A3B, Qwen3-Coder-30B-A3B", qk_norm="head", experts=Experts()
)
