"""gpt-oss (OpenAI 2025, arXiv 2508.10925): experts, attention sinks, biases everywhere.

Every other layer is local, the activation is clamped, and the router takes the softmax of the chosen only.
"""

from wse_backend.weights.architectures.description import Architecture, Experts

GPT_OSS = Architecture(
    name="gpt-oss",
    models="gpt-oss-20b, gpt-oss-120b",
    qkv_bias="yes",
    has_output_bias=True,
    ffn_norm="post_attention_norm",
    activation="clamped",
    full_attention_every=2,
    has_sinks=True,
    experts=Experts(is_biased=True),
)
