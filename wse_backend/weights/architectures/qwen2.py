"""Qwen2 and Qwen2.5 (Yang et al. 2024, arXiv 2407.10671): biases on queries, keys and values."""

from wse_backend.weights.architectures.description import Architecture

QWEN2 = Architecture(name="qwen2", models="Qwen2, Qwen2.5, Qwen2.5-Coder", qkv_bias="yes")
