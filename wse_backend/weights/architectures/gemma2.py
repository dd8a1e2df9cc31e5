"""Gemma 2 (Gemma Team 2024, arXiv 2408.00118, section 2): norms around, soft caps, every other layer local.

A norm's weights are stored with the 1 added that Gemma's code adds. The 27B model, and only it, scales its
queries by the width per head, dim / n_heads, instead of by the head's size.
"""

from wse_backend.weights.architectures.description import Architecture

GEMMA2 = Architecture(
    name="gemma2",
    models="Gemma 2",
    norms="around",
    activation="gelu",
    scales_embedding=True,
    full_attention_every=2,
    layers_scaled_by_width=46,
)
