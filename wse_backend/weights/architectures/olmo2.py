"""OLMo 2 (OLMo Team 2025, arXiv 2501.00656, section 2): norms after attention and feed-forward network.

Queries and keys are normalised too, those of all heads together.
"""

from wse_backend.weights.architectures.description import Architecture

OLMO2 = Architecture(
    name="olmo2",
    models="OLMo 2, OLMo 3",
    qk_norm="row",
    norms="after",
    full_attention_every=4,
    local_rope_theta=0.0,
)
