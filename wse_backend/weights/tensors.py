"""Which tensors a model's pass reads, by their place in it, and whether a file has just those."""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from wse_backend.errors import BrokenGGUF, Unsupported
from wse_backend.weights.hparams import HParams
from wse_backend.weights.rope import RopeScaling, rope_frequencies

FLOAT_TYPES = ("F32", "F16", "BF16")

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class TensorInfo:
    """One tensor: its type, its numpy-order shape and its bytes as they lie in the file.

    shape: (rows, cols) for a matrix, (n,) for a vector, (experts, rows, cols) for those of all experts; a row
    is contiguous. data: uint8 (n_bytes,), a read-only view of the mapped file. parts: of experts that lie in
    a tensor each (see stacking.py), those, one after another; `data` is then empty.
    """

    name: str
    type_name: str
    qtype: int
    shape: tuple[int, ...]
    n_bytes: int
    data: npt.NDArray[np.uint8] = field(repr=False, compare=False)
    parts: tuple[TensorInfo, ...] = field(default=(), repr=False, compare=False)

    def release_pages(self) -> None:
        """Give the memory of these bytes back to the system; they are read again when they are used."""
        for part in self.parts:
            part.release_pages()
        buffer: object = self.data
        first = self.data
        while isinstance(buffer, np.ndarray):
            first, buffer = buffer, buffer.base
        if isinstance(buffer, memoryview):
            buffer = buffer.obj
        if not isinstance(buffer, mmap.mmap) or not hasattr(mmap, "MADV_DONTNEED"):
            return
        start = self.data.ctypes.data - first.ctypes.data
        whole = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE
        stop = (start + self.n_bytes) // mmap.PAGESIZE * mmap.PAGESIZE
        if whole < stop:
            buffer.madvise(mmap.MADV_DONTNEED, whole, stop - whole)

    def floats(self) -> npt.NDArray[np.float32]:
        """The values of a tensor of FLOAT_TYPES, float32 of its shape, a copy."""
        if self.parts:
            return np.stack([part.floats() for part in self.parts])
        if self.type_name == "BF16":
            wide = self.data.view(np.uint16).astype(np.uint32) << 16
            return wide.view(np.float32).reshape(self.shape)
        stored = np.float32 if self.type_name == "F32" else np.float16
        return self.data.view(stored).astype(np.float32).reshape(self.shape)


def widened(tensor: TensorInfo) -> TensorInfo:
    """`tensor`, or for one of BF16, for which there are no kernels, a float32 copy: the same values."""
    if tensor.type_name != "BF16":
        return tensor
    values = tensor.floats()
    return TensorInfo(tensor.name, "F32", 0, tensor.shape, values.nbytes, values.reshape(-1).view(np.uint8))


def layer_tensors(h: HParams, layer: int) -> Shapes:
    """Name and numpy-order shape of every tensor that a layer reads."""
    found = {**_norms(h), **_attention(h), **(_experts(h) if h.n_experts else _feed_forward(h))}
    return {f"blk.{layer}.{name}": shape for name, shape in found.items()}


def _norms(h: HParams) -> Shapes:
    family = h.architecture
    before = {"attn_norm.weight": (h.dim,), f"{family.ffn_norm}.weight": (h.dim,)}
    after = {"post_attention_norm.weight": (h.dim,), "post_ffw_norm.weight": (h.dim,)}
    of_heads: Shapes = {}
    if family.qk_norm == "head":
        of_heads = {"attn_q_norm.weight": (h.head_dim,), "attn_k_norm.weight": (h.head_dim,)}
    elif family.qk_norm == "row":
        of_heads = {"attn_q_norm.weight": (h.q_dim,), "attn_k_norm.weight": (h.kv_dim,)}
    return {
        **(before if family.norms != "after" else {}),
        **(after if family.norms != "before" else {}),
        **of_heads,
    }


def _attention(h: HParams) -> Shapes:
    family = h.architecture
    found: Shapes = {"attn_output.weight": (h.dim, h.q_dim)}
    if family.is_fused:
        found["attn_qkv.weight"] = (h.q_dim + 2 * h.kv_dim, h.dim)
    else:
        found["attn_q.weight"] = (h.q_dim, h.dim)
        found["attn_k.weight"] = found["attn_v.weight"] = (h.kv_dim, h.dim)
    if h.has_qkv_bias:
        found["attn_q.bias"] = (h.q_dim,)
        found["attn_k.bias"] = found["attn_v.bias"] = (h.kv_dim,)
    if family.has_output_bias:
        found["attn_output.bias"] = (h.dim,)
    if family.has_sinks:
        found["attn_sinks.weight"] = (h.n_heads,)
    return found


def _feed_forward(h: HParams) -> Shapes:
    down = {"ffn_down.weight": (h.dim, h.hidden_dim)}
    if h.architecture.is_fused:
        return {"ffn_up.weight": (2 * h.hidden_dim, h.dim), **down}
    return {"ffn_gate.weight": (h.hidden_dim, h.dim), "ffn_up.weight": (h.hidden_dim, h.dim), **down}


def _experts(h: HParams) -> Shapes:
    n, hidden = h.n_experts, h.expert_hidden_dim
    found: Shapes = {
        "ffn_gate_inp.weight": (n, h.dim),
        "ffn_gate_exps.weight": (n, hidden, h.dim),
        "ffn_up_exps.weight": (n, hidden, h.dim),
        "ffn_down_exps.weight": (n, h.dim, hidden),
    }
    routing = h.architecture.experts
    assert routing is not None
    if routing.is_biased:
        found |= {"ffn_gate_inp.bias": (n,), "ffn_gate_exps.bias": (n, hidden)}
        found |= {"ffn_up_exps.bias": (n, hidden), "ffn_down_exps.bias": (n, h.dim)}
    if h.shared_hidden_dim:
        found |= {"ffn_gate_shexp.weight": (h.shared_hidden_dim, h.dim)}
        found |= {"ffn_up_shexp.weight": (h.shared_hidden_dim, h.dim)}
        found |= {"ffn_down_shexp.weight": (h.dim, h.shared_hidden_dim)}
    if routing.shared == "gated":
        found["ffn_gate_inp_shexp.weight"] = (h.dim,)
    return found


class MatrixRows(NamedTuple):
    """Some rows of a tensor, which the pass takes for a matrix of its own."""

    name: str
    start: int
    stop: int


def layer_matrices(h: HParams, layer: int) -> list[MatrixRows]:
    """The matrices of a layer, in the order of the pass: q, k, v, attention output, gate, up, down.

    Of a layer with experts the last three are the shared expert's, or nameless where there is none.
    """
    q, kv, ffn = h.q_dim, h.kv_dim, h.dense_hidden_dim
    if h.n_experts:
        end = "_shexp" if ffn else ""
        found = [("attn_q", 0, q), ("attn_k", 0, kv), ("attn_v", 0, kv), ("attn_output", 0, h.dim)]
        found += [(f"ffn_gate{end}", 0, ffn), (f"ffn_up{end}", 0, ffn), (f"ffn_down{end}", 0, h.dim)]
        places = [MatrixRows(f"blk.{layer}.{name}.weight", start, stop) for name, start, stop in found]
        return places if ffn else [*places[:4], *[MatrixRows("", 0, 0)] * 3]
    if h.architecture.is_fused:
        found = [("attn_qkv", 0, q), ("attn_qkv", q, q + kv), ("attn_qkv", q + kv, q + 2 * kv)]
        found += [("attn_output", 0, h.dim), ("ffn_up", 0, ffn), ("ffn_up", ffn, 2 * ffn)]
    else:
        found = [("attn_q", 0, q), ("attn_k", 0, kv), ("attn_v", 0, kv), ("attn_output", 0, h.dim)]
        found += [("ffn_gate", 0, ffn), ("ffn_up", 0, ffn)]
    found.append(("ffn_down", 0, h.dim))
    return [MatrixRows(f"blk.{layer}.{name}.weight", start, stop) for name, start, stop in found]


def expert_matrices(h: HParams, layer: int) -> list[MatrixRows]:
    """Router, gate, up and down of a layer's experts; the rows of all experts one after another."""
    n, hidden = h.n_experts, h.expert_hidden_dim
    found = (("gate_inp", n), ("gate_exps", n * hidden), ("up_exps", n * hidden), ("down_exps", n * h.dim))
    return [MatrixRows(f"blk.{layer}.ffn_{name}.weight", 0, stop) for name, stop in found]


def model_frequencies(
    h: HParams, tensors: Mapping[str, TensorInfo], n_ctx: int, kind: str = "global"
) -> tuple[npt.NDArray[np.float64], float]:
    """What RoPE turns a model's layers by, in a context of `n_ctx`; see `rope.rope_frequencies`.

    kind: "global", or "local" for layers with a window whose RoPE differs.
    """
    if kind == "local":
        return rope_frequencies(h.local_rope_theta, h.rope_dim, RopeScaling())
    name = "rope_freqs.weight"
    if name not in tensors:
        is_long = n_ctx > h.rope_scaling.original_n_ctx
        name = f"rope_factors_{'long' if is_long else 'short'}.weight"
    divisors = tensors[name].floats() if name in tensors else None
    return rope_frequencies(h.rope_theta, h.rope_dim, h.rope_scaling, divisors)


def expected_tensors(h: HParams) -> Shapes:
    """Name and shape of every tensor that the pass reads."""
    found: Shapes = {"token_embd.weight": (h.vocab_size, h.dim), "output_norm.weight": (h.dim,)}
    if not h.is_tied:
        found["output.weight"] = (h.vocab_size, h.dim)
    for layer in range(h.n_layers):
        found |= layer_tensors(h, layer)
    return found


def rope_factor_tensors(h: HParams) -> Shapes:
    """Tensors that the pass reads where the file has them: what RoPE's frequencies are divided by."""
    pairs = (h.rope_dim // 2,)
    return {f"{name}.weight": pairs for name in ("rope_freqs", "rope_factors_long", "rope_factors_short")}


def check_tensors(h: HParams, tensors: dict[str, TensorInfo], file: str) -> None:
    """Every tensor the pass reads is there with its shape, and there is none that it would ignore.

    Raises BrokenGGUF, Unsupported.
    """
    expected, optional = expected_tensors(h), rope_factor_tensors(h)
    for name, shape in {**expected, **optional}.items():
        found = tensors.get(name)
        if found is None:
            if name in expected:
                raise BrokenGGUF(file, f"tensor {name} is missing")
            continue
        if found.shape != shape:
            raise BrokenGGUF(file, f"tensor {name} has the shape {found.shape}, its header implies {shape}")
        if _is_vector(name, shape) and found.type_name not in FLOAT_TYPES:
            raise Unsupported(file, f"vector {name}", found.type_name, FLOAT_TYPES)
        if name in optional and not _are_factors(found.floats()):
            raise BrokenGGUF(file, f"tensor {name} has entries that are no positive numbers")
    ignored = [name for name in tensors if name not in expected and name not in optional]
    if ignored:
        raise Unsupported(
            file, f"tensor {ignored[0]}", "no part of the transformer that this engine computes"
        )


def _are_factors(values: npt.NDArray[np.float32]) -> bool:
    """Whether frequencies can be divided by all of them."""
    return bool((np.isfinite(values) & (values > 0)).all())


def _is_vector(name: str, shape: tuple[int, ...]) -> bool:
    """Whether a tensor is read as floats: a vector, or the biases of experts, one vector each."""
    return len(shape) == 1 or name.endswith(".bias")
