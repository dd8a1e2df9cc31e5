"""Qwen1.5-MoE and Qwen2-MoE (Yang et al. 2024, arXiv 2407.10671, section 2.2.2): Qwen2 with experts.

A shared expert has a gate of its own; the chosen experts keep their shares of the softmax over all.
"""

from wse_backend.weights.architectures.description import Architecture, Experts

QWEN2MOE = Architecture(
    name="qwen2moe",
    models="Qwen1.5-MoE, Qwen2-57B-A14B",
    qkv_bias="yes",
    experts=Experts(sums_to_one=False, shared="gated"),
)
