"""A GGUF file, or the parts of one, checked from the first byte to the last tensor, then mapped read-only.

Every tensor's place and shape is compared with the file's size and the hyperparameters before it is used;
what a header is read by stands in `header.py`.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

from wse_backend.errors import BrokenGGUF, Unsupported
from wse_backend.weights.architectures import ARCHITECTURES
from wse_backend.weights.header import Header, read_header
from wse_backend.weights.hparams import HParams, read_hparams
from wse_backend.weights.stacking import stack_experts
from wse_backend.weights.tensors import TensorInfo, check_tensors

PARTS_LIMIT = 1000
_PART = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")


@dataclass(frozen=True)
class GGUFFile:
    """A checked GGUF file. Immutable and thread-safe; the mapping lives as long as any tensor's `data`.

    path: the file, or the first of its parts. size_bytes: of all parts.
    """

    path: Path
    architecture: str
    metadata: dict[str, object] = field(repr=False)
    hparams: HParams
    tensors: dict[str, TensorInfo] = field(repr=False)
    size_bytes: int


def open_gguf(path: str | os.PathLike[str]) -> GGUFFile:
    """Map a GGUF file of a supported architecture, with its other parts, and return it, checked.

    Its matrices may be of any type whose blocks the gguf library knows; which of them can be multiplied by
    is the engine's to say. Raises BrokenGGUF (unreadable, no GGUF, truncated, contradictory, a part missing)
    and Unsupported (architecture, unknown tensor type, RoPE scaling, tensors this engine would have to
    ignore), before any large allocation.
    """
    first = read_header(path)
    file, metadata = first.path.name, first.metadata
    architecture = metadata.get("general.architecture")
    if not isinstance(architecture, str):
        raise BrokenGGUF(file, "general.architecture is missing from its header")
    if architecture not in ARCHITECTURES:
        raise Unsupported(file, "its architecture", repr(architecture[:60]), tuple(ARCHITECTURES))
    parts = [first, *_other_parts(first)]
    tensors: dict[str, TensorInfo] = {}
    for part in parts:
        for tensor in _tensors(part):
            if tensor.name in tensors:
                raise BrokenGGUF(part.path.name, f"tensor {tensor.name} appears twice")
            tensors[tensor.name] = tensor
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    hparams = read_hparams(metadata, ARCHITECTURES[architecture], shapes, file)
    if hparams.n_experts:
        tensors = stack_experts(tensors, hparams.n_experts, file)
    check_tensors(hparams, tensors, file)
    size_bytes = sum(len(part.mapping) for part in parts)
    return GGUFFile(first.path, architecture, metadata, hparams, tensors, size_bytes)


def part_paths(path: Path, n_parts: int) -> list[Path]:
    """The files of a model in `n_parts` parts, by llama.cpp's names: NAME-00001-of-00003.gguf and so on.

    Raises BrokenGGUF when `path` is not called so.
    """
    found = _PART.search(path.name)
    if found is None or int(found[2]) != n_parts:
        raise BrokenGGUF(
            path.name, f"it is one of {n_parts} parts; they must be called NAME-00001-of-{n_parts:05d}.gguf"
        )
    stem = path.name[: found.start()]
    return [path.with_name(f"{stem}-{part:05d}-of-{n_parts:05d}.gguf") for part in range(1, n_parts + 1)]


def _other_parts(first: Header) -> Iterator[Header]:
    """The parts after the first, of a file in parts. Raises BrokenGGUF."""
    n_parts, number = first.metadata.get("split.count", 1), first.metadata.get("split.no", 0)
    if type(n_parts) is not int or not 0 <= n_parts <= PARTS_LIMIT:
        raise BrokenGGUF(first.path.name, f"split.count is {n_parts!r}; allowed: 1 to {PARTS_LIMIT}")
    if n_parts <= 1:
        return
    paths = part_paths(first.path, n_parts)
    if number != 0:
        raise BrokenGGUF(first.path.name, f"it is a later part of its model; open {paths[0].name}")
    for at, path in enumerate(paths[1:], start=1):
        if not path.is_file():
            raise BrokenGGUF(first.path.name, f"its part {path.name} is not beside it")
        part = read_header(path)
        if (part.metadata.get("split.no"), part.metadata.get("split.count")) != (at, n_parts):
            raise BrokenGGUF(path.name, f"its header does not say that it is part {at + 1} of {n_parts}")
        yield part


def _tensors(header: Header) -> Iterator[TensorInfo]:
    """Place every tensor of one file inside it."""
    file, buffer = header.path.name, np.frombuffer(header.mapping, dtype=np.uint8)
    places: list[tuple[int, int, str]] = []
    for entry in header.entries:
        name, shape = entry.name, entry.shape
        type_name, block_elements, block_bytes = _block(entry.qtype, file, name)
        if min(shape) < 1 or shape[-1] % block_elements:
            raise BrokenGGUF(file, f"tensor {name} ({type_name}) has the impossible shape {shape}")
        n_bytes = math.prod(shape) // block_elements * block_bytes
        start = header.data_start + entry.offset
        if start + n_bytes > len(buffer):
            raise BrokenGGUF(
                file,
                f"tensor {name} should end at byte {start + n_bytes:,}, the file ends at {len(buffer):,}",
            )
        if entry.offset % 8:
            raise BrokenGGUF(file, f"tensor {name} begins at the odd offset {entry.offset:,}")
        places.append((start, start + n_bytes, name))
        yield TensorInfo(name, type_name, entry.qtype, shape, n_bytes, buffer[start : start + n_bytes])
    for (_, end, first), (start, _, second) in pairwise(sorted(places)):
        if start < end:
            raise BrokenGGUF(file, f"tensors {first} and {second} overlap")


def _block(qtype: int, file: str, name: str) -> tuple[str, int, int]:
    """Name, values and bytes of one block of the tensor `name`. Raises Unsupported."""
    try:
        kind = GGMLQuantizationType(qtype)
        return kind.name, *GGML_QUANT_SIZES[kind]
    except (ValueError, KeyError):
        found = f"of type {qtype}, which the gguf library does not know"
        raise Unsupported(file, f"tensor {name}", found) from None


__all__ = ["GGUFFile", "HParams", "TensorInfo", "open_gguf", "part_paths"]
