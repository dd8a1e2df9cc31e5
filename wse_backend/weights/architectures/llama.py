"""Llama 1 to 3 (Touvron et al. 2023, arXiv 2302.13971) and what copies it; Mixtral, which has experts.

Mixtral: Jiang et al. 2024, arXiv 2401.04088, section 2.1.
"""

from wse_backend.weights.architectures.description import Architecture, Experts

LLAMA = Architecture(
    name="llama",
    models="Llama 1 to 3, Mistral, Mixtral, SmolLM2, TinyLlama",
    rope_style="interleaved",
    qkv_bias="file",
    experts=Experts(),
)
