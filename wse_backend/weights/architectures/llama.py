"""Llama 1 to 3 (Touvron et al. 2023, arXiv 2302.13971) and what copies it."""

from wse_backend.weights.architectures.description import Architecture

LLAMA = Architecture(
    name="llama",
    models="Llama 1 to 3, Mistral, SmolLM2, TinyLlama",
    rope_style="interleaved",
    qkv_bias="file",
)
