"""The seed of every call of a seeded run: its own, the same on every machine."""

from __future__ import annotations

import hashlib


def call_seed(run_seed: int, layer: int, index: int) -> int:
    """The seed of the call that stands at `index` (from 0) of `layer` (from 1); below 2^31."""
    digest = hashlib.sha256(f"{run_seed}/{layer}/{index}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
