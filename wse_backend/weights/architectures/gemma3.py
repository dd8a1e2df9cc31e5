"""Gemma 3, the text model (Gemma Team 2025, arXiv 2503.19786, section 2).

Of six layers five see a window, with a RoPE base of their own; queries and keys are normalised per head in
place of Gemma 2's soft caps. The 27B model, and only it, scales its queries by the width per head.
"""

from wse_backend.weights.architectures.description import Architecture

GEMMA3 = Architecture(
    name="gemma3",
    models="Gemma 3, text",
    qk_norm="head",
    norms="around",
    activation="gelu",
    scales_embedding=True,
    full_attention_every=6,
    local_rope_theta=10_000.0,
    layers_scaled_by_width=62,
)
