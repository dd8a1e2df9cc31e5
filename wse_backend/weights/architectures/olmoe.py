"""OLMoE (Muennighoff et al. 2024, arXiv 2409.02060): many small experts, shares of the softmax over all."""

from wse_backend.weights.architectures.description import Architecture, Experts

OLMOE = Architecture(name="olmoe", models="OLMoE-1B-7B", qk_norm="row", experts=Experts(sums_to_one=False))
