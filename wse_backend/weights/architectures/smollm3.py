"""SmolLM3 (Hugging Face 2025): a Llama in which every fourth layer does without RoPE.

Layers without it: Yang et al. 2025, arXiv 2501.18795.
"""

from wse_backend.weights.architectures.description import Architecture

SMOLLM3 = Architecture(
    name="smollm3", models="SmolLM3", rope_style="interleaved", qkv_bias="file", turns_every_layer_but=4
)
