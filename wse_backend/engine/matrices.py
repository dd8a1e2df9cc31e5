"""A model's matrices, regrouped in memory for the kernels when the model is loaded.

No value changes. The file's own pages are given back as soon as a matrix is regrouped, so a model takes the
memory of its file, not twice that.
"""

import math
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from wse_backend.engine.kernels.arguments import Embedding, Matrix
from wse_backend.engine.kernels.formats import FORMATS, ROWS
from wse_backend.engine.kernels.pieces import unit_rows
from wse_backend.errors import BrokenGGUF, Unsupported
from wse_backend.weights.catalog import Progress
from wse_backend.weights.gguf_file import GGUFFile, TensorInfo
from wse_backend.weights.tensors import MatrixRows, widened

Addresses = Mapping[int, int]  # of compiled functions, by ggml type number

HEAD_DIM_STEP = 16  # attention takes a head in whole vectors
PART_ROWS = 1024  # regrouped at a time by one thread
ALIGNMENT = 64  # a cache line
PREFETCH_SLACK = 4096  # kernels prefetch beyond the end


class Matrices:
    """Regroups the matrices of one file, and keeps their memory."""

    def __init__(self, gguf: GGUFFile, matmul: Addresses, regroup: Mapping[int, Any], n_threads: int) -> None:
        """matmul: addresses of `compile_matmul` functions; regroup: `compile_regroup` functions."""
        self._gguf = gguf
        self._matmul = matmul
        self._regroup = regroup
        self._n_threads = n_threads
        self._memory = np.zeros(0, np.uint8)
        self._n_taken = 0

    def load(self, places: list[MatrixRows], progress: Progress | None = None) -> dict[MatrixRows, Matrix]:
        """Regroup tensors, or some rows of them. Raises BrokenGGUF when a weight is NaN or infinite.

        All in one piece of memory: numpy asks for large pages from 4 MB on, and a pass that walks over
        hundreds of MB in pages of 4 kB waits for addresses as much as for weights.
        """
        found: dict[MatrixRows, Matrix] = {}
        n_bytes = sum(_padded(math.prod(self._groups(place))) for place in places)
        self._memory, self._n_taken = np.zeros(n_bytes + ALIGNMENT + PREFETCH_SLACK, np.uint8), 0
        with ThreadPoolExecutor(self._n_threads, "wse-regroup") as threads:
            for done, place in enumerate(places):
                if progress is not None:
                    progress("regroup weights", done, len(places))
                found[place] = self._load(place, threads)
        if progress is not None:
            progress("regroup weights", len(places), len(places))
        return found

    def _groups(self, place: MatrixRows) -> tuple[int, int]:
        """How many groups of rows, and the bytes of each, regrouped."""
        tensor = widened(self._gguf.tensors[place.name])
        fmt = FORMATS[tensor.qtype]
        n_groups = -(-(place.stop - place.start) // ROWS)
        return n_groups, tensor.shape[-1] // fmt.values * fmt.group_block_bytes

    def _take(self, n_bytes: int) -> int:
        """The address of the next `n_bytes`; they begin with a cache line, and are zeros."""
        start = self._memory.ctypes.data
        address = start + -start % ALIGNMENT + self._n_taken
        self._n_taken += _padded(n_bytes)
        return address

    def _load(self, place: MatrixRows, threads: ThreadPoolExecutor) -> Matrix:
        stored = self._gguf.tensors[place.name]
        tensor = widened(stored)
        fmt, n_rows, n_cols = FORMATS[tensor.qtype], place.stop - place.start, tensor.shape[-1]
        n_blocks = n_cols // fmt.values
        row_bytes = n_blocks * fmt.size_bytes
        n_groups, group_bytes = self._groups(place)
        target, regroup = self._take(n_groups * group_bytes), self._regroup[tensor.qtype].ctypes

        def copy(run: tuple[int, int, int]) -> int:  # ctypes lets go of the GIL meanwhile
            source, start, stop = run
            return int(regroup(source, row_bytes, start, stop, n_blocks, target, group_bytes))

        n_bad = sum(threads.map(copy, _runs(tensor, place, row_bytes)))
        if n_bad:
            raise not_finite(self._gguf, tensor, n_bad)
        if place.stop == math.prod(tensor.shape[:-1]):  # a fused tensor is read up to its last row first
            stored.release_pages()
        return Matrix(
            function=self._matmul[tensor.qtype],
            data=target,
            group_bytes=group_bytes,
            n_blocks=n_blocks,
            n_rows=n_rows,
            unit_rows=unit_rows(n_rows, self._n_threads),
            takes_floats=int(fmt.is_float),
        )


def _runs(tensor: TensorInfo, place: MatrixRows, row_bytes: int) -> Iterator[tuple[int, int, int]]:
    """Runs of rows to regroup: where row 0 lies (or would, before a later part), first row, and the end.

    Rows are counted from `place.start`. Parts are experts: whole groups of rows.
    """
    if not tensor.parts:
        source, n_rows = tensor.data.ctypes.data + place.start * row_bytes, place.stop - place.start
        for start in range(0, n_rows, PART_ROWS):
            yield source, start, min(start + PART_ROWS, n_rows)
        return
    first = 0
    for part in tensor.parts:
        n_rows = math.prod(part.shape[:-1])
        yield part.data.ctypes.data - first * row_bytes, first, first + n_rows
        first += n_rows


def check_formats(gguf: GGUFFile) -> None:
    """Raises Unsupported when there are no kernels for one of a model's matrices."""
    for tensor in gguf.tensors.values():
        if is_matrix(tensor) and stored_type(tensor) not in FORMATS:
            supported = (*(fmt.name for fmt in FORMATS.values()), "BF16")
            raise Unsupported(gguf.path.name, f"tensor {tensor.name}", tensor.type_name, supported)


def check_sizes(gguf: GGUFFile) -> None:
    """Raises Unsupported when the kernels take no experts or no heads of a model's size."""
    hp = gguf.hparams
    if hp.expert_hidden_dim % ROWS or (hp.n_experts and hp.dim % ROWS):
        allowed = (f"multiples of {ROWS}",)
        found = f"{hp.dim} by {hp.expert_hidden_dim}"
        raise Unsupported(gguf.path.name, "the size of an expert", found, allowed)
    if hp.head_dim % HEAD_DIM_STEP:
        allowed = (f"multiples of {HEAD_DIM_STEP}",)
        raise Unsupported(gguf.path.name, "the size of an attention head", str(hp.head_dim), allowed)


def is_matrix(tensor: TensorInfo) -> bool:
    """Whether a tensor is multiplied by, or looked up in: no vector, and not the biases of experts."""
    return len(tensor.shape) >= 2 and not tensor.name.endswith(".bias")


def weights_bytes(gguf: GGUFFile) -> int:
    """The memory of a model's weights, loaded: its file's size, more where regrouping widens a format.

    Raises Unsupported as `check_formats`: nothing is planned for a model that cannot run.
    """
    check_formats(gguf)
    total = 0
    for tensor in gguf.tensors.values():
        if not is_matrix(tensor):
            total += tensor.n_bytes
            continue
        fmt = FORMATS[stored_type(tensor)]
        groups = -(-math.prod(tensor.shape[:-1]) // ROWS)
        total += groups * (tensor.shape[-1] // fmt.values) * fmt.group_block_bytes
    return max(gguf.size_bytes, total)


def stored_type(tensor: TensorInfo) -> int:
    """The ggml type whose kernels multiply by a tensor: BF16 is widened to F32."""
    return 0 if tensor.type_name == "BF16" else tensor.qtype


def embedding_rows(tensor: TensorInfo, decode: Addresses) -> Embedding:
    """The embedding as it lies in the file. decode: addresses of `compile_decode` functions."""
    n_rows, n_cols = tensor.shape
    n_blocks = n_cols // FORMATS[tensor.qtype].values
    address = int(tensor.data.ctypes.data)
    return Embedding(decode[tensor.qtype], address, tensor.n_bytes // n_rows, n_blocks)


def not_finite(gguf: GGUFFile, tensor: TensorInfo, n_bad: int) -> BrokenGGUF:
    """The refusal of a tensor with `n_bad` scales or weights that are NaN or infinite."""
    what = "weights" if FORMATS[tensor.qtype].is_float else "scales"
    return BrokenGGUF(
        os.path.basename(gguf.path), f"{n_bad:,} {what} of tensor {tensor.name} are NaN or infinite"
    )


def vector(gguf: GGUFFile, name: str, n: int = 0) -> npt.NDArray[np.float32]:
    """A norm's weights or a bias as float32, with zeros up to `n`. Raises BrokenGGUF as `Matrices.load`."""
    tensor = gguf.tensors[name]
    stored = tensor.floats().ravel()
    out = np.zeros(max(n, stored.size), np.float32)
    out[: stored.size] = stored
    n_bad = int(np.count_nonzero(~np.isfinite(out)))
    if n_bad:
        raise not_finite(gguf, tensor, n_bad)
    return out


def _padded(n_bytes: int) -> int:
    """Whole cache lines."""
    return -(-n_bytes // ALIGNMENT) * ALIGNMENT
