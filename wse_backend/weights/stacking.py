"""Experts that lie in a tensor each, as files from before April 2024 have them, seen as one tensor of all.

`blk.0.ffn_gate.3.weight` is the gate of layer 0's expert 3; today it is the fourth part of
`blk.0.ffn_gate_exps.weight`. llama.cpp dropped such files in 2024 (ggml-org/llama.cpp issue 10244). Nothing
is copied here: the parts stay where they are in the file, and are read one after another.
"""

from __future__ import annotations

import re
from collections import defaultdict

import numpy as np

from wse_backend.errors import BrokenGGUF, Unsupported
from wse_backend.weights.tensors import TensorInfo

_ONE_EXPERT = re.compile(r"(blk\.\d+\.ffn_(?:gate|up|down))\.(\d{1,4})\.weight")


def stack_experts(tensors: dict[str, TensorInfo], n_experts: int, file: str) -> dict[str, TensorInfo]:
    """`tensors` with those of single experts joined; the same object where there are none.

    Raises BrokenGGUF when an expert is missing, too many, or shaped otherwise than the first, and Unsupported
    when one is of another type.
    """
    found: dict[str, dict[int, TensorInfo]] = defaultdict(dict)
    joined = {}
    for name, tensor in tensors.items():
        place = _ONE_EXPERT.fullmatch(name)
        if place is None:
            joined[name] = tensor
        else:
            found[place[1]][int(place[2])] = tensor
    if not found:
        return tensors
    for stem, experts in found.items():
        whole = _join(stem, experts, n_experts, file)
        if whole.name in joined:
            raise BrokenGGUF(file, f"it has both {whole.name} and a tensor for each expert")
        joined[whole.name] = whole
    return joined


def _join(stem: str, experts: dict[int, TensorInfo], n_experts: int, file: str) -> TensorInfo:
    for expert in range(n_experts):
        if expert not in experts:
            raise BrokenGGUF(
                file, f"tensor {stem}.{expert}.weight is missing; the header has {n_experts} experts"
            )
    extra = max(experts)
    if extra >= n_experts:
        raise BrokenGGUF(file, f"tensor {stem}.{extra}.weight: the header has {n_experts} experts")
    parts = tuple(experts[expert] for expert in range(n_experts))
    first = parts[0]
    for part in parts:
        if part.shape != first.shape:
            raise BrokenGGUF(file, f"tensor {part.name} has the shape {part.shape}, not {first.shape}")
        if part.qtype != first.qtype:
            allowed = (f"{first.type_name}, as that of expert 0",)
            raise Unsupported(file, f"tensor {part.name}", part.type_name, allowed)
    return TensorInfo(
        f"{stem}_exps.weight",
        first.type_name,
        first.qtype,
        (n_experts, *first.shape),
        sum(part.n_bytes for part in parts),
        np.zeros(0, np.uint8),
        parts,
    )
