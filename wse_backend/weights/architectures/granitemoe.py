"""Granite 3 with experts (IBM): Granite's scales, and in some files a shared expert without a gate."""

from wse_backend.weights.architectures.description import Architecture, Experts

GRANITEMOE = Architecture(
    name="granitemoe",
    models="Granite 3, 1B-A400M and 3B-A800M",
    rope_style="interleaved",
    experts=Experts(shared="plain"),
)
