"""Phi-3 to Phi-4 (Abdin et al. 2024, arXiv 2404.14219): Q, K, V in one matrix, gate and up in another."""

from wse_backend.weights.architectures.description import Architecture

PHI3 = Architecture(name="phi3", models="Phi-3, Phi-3.5, Phi-4, dense", is_fused=True, full_attention_every=0)
