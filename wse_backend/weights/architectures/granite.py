"""Granite 3 (IBM): a Llama whose embedding, residuals, attention and logits are scaled by the header."""

from wse_backend.weights.architectures.description import Architecture

GRANITE = Architecture(name="granite", models="Granite 3, dense", rope_style="interleaved", qkv_bias="file")
