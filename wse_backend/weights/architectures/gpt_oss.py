"""gpt-oss (OpenAI 2025, arXiv 2508.10925): attention sinks, every other layer local, biases everywhere, a
clamped activation, and the router's softmax over the chosen experts only.
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
