"""A loaded model: its weights as the kernels want them, its KV cache, and one pass over a batch of rows.

Not thread-safe: the scheduler's thread is its only user.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from wse_backend.engine.completion import OP_GROUPS
from wse_backend.engine.kernels.attention import BLOCK_POSITIONS, attention_scratch_floats, compile_attention
from wse_backend.engine.kernels.blocks import FORMATS
from wse_backend.engine.kernels.forward import (
    LINE,
    Batch,
    Buffers,
    Cache,
    Model,
    Team,
    compile_forward,
    n_phases,
    unit_rows,
)
from wse_backend.engine.kernels.matmul import compile_decode, compile_matmul, matmul_scratch_floats
from wse_backend.engine.kv_cache import BlockPool
from wse_backend.engine.threads import ThreadTeam
from wse_backend.weights.catalog import Progress
from wse_backend.weights.gguf_file import GGUFFile, TensorInfo

MAX_ROWS = 256  # rows of one pass: enough to decode each weight once for many tokens
MAX_LOGIT_ROWS = 16  # rows of one pass whose logits are computed; also the sequences that run at once
VALUE_BYTES = 2  # the cache keeps values as float16
MATRICES = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")


@dataclass(frozen=True)
class Row:
    """One token to compute: at `position` of the sequence whose cache blocks are `slot`'s table row."""

    token: int
    position: int
    slot: int
    wants_logits: bool


@dataclass(frozen=True)
class PassTiming:
    """What one pass took. layers_ms: float64 (n_layers, 5), columns as OP_GROUPS without the head."""

    seconds: float
    layers_ms: npt.NDArray[np.float64]
    head_ms: float


class Kernels:
    """The compiled functions of this process, each compiled (or read from disk) once."""

    matmul = staticmethod(cache(compile_matmul))
    decode = staticmethod(cache(compile_decode))
    attention = staticmethod(cache(compile_attention))
    forward = staticmethod(cache(compile_forward))


def block_bytes(gguf: GGUFFile) -> int:
    """The size of one KV cache block: 16 positions of all layers."""
    hp = gguf.hparams
    entries = hp.n_kv_heads * hp.head_dim * BLOCK_POSITIONS
    return hp.n_layers * entries * (key_bytes(gguf) + VALUE_BYTES)


def key_bytes(gguf: GGUFFile) -> int:
    """Bytes per key entry in the cache: float16, or float32 where a bias makes keys large.

    Measured on Qwen2.5-Coder-0.5B: float16 keys move the logits by a mean KL of 1e-5, float32 keys by 1e-7.
    """
    return 4 if gguf.hparams.has_qkv_bias else 2


class Transformer:
    """The model of `gguf` with a KV cache of `n_blocks` blocks, run by `team`."""

    def __init__(
        self, gguf: GGUFFile, n_blocks: int, team: ThreadTeam, progress: Progress | None = None
    ) -> None:
        self.gguf = gguf
        self.hparams = gguf.hparams
        self.pool = BlockPool(n_blocks, block_bytes(gguf))
        self._team = team
        self._kernels = _compile(gguf, progress)
        self._model = self._bind_model()
        self._cache = self._bind_cache()
        self._buffers = self._allocate_buffers(team.n_threads)
        self._batch = self._allocate_batch()
        n_layers = self.hparams.n_layers
        self._shared = Team(
            thread=0,  # each thread puts its own number here
            n_threads=team.n_threads,
            claims=np.zeros(n_phases(n_layers) * team.n_threads * LINE, np.int64),
            finished=np.zeros(n_phases(n_layers) * LINE, np.int64),
            layer_ticks=np.zeros((n_layers, len(OP_GROUPS) - 1), np.int64),
            head_ticks=np.zeros(2, np.int64),
        )

    def set_table(self, slot: int, blocks: Sequence[int]) -> None:
        """Tell the passes which cache blocks hold the sequence in `slot`."""
        self._batch.tables[slot, : len(blocks)] = blocks

    def run(self, rows: Sequence[Row]) -> tuple[npt.NDArray[np.float32], PassTiming]:
        """Compute `rows` (at most MAX_ROWS) in one pass; earlier positions must be in the cache or in `rows`.

        Returns float32 (rows that want logits, vocab_size), valid until the next pass, and the timing.
        """
        batch, shared = self._batch, self._shared
        wanted = [index for index, row in enumerate(rows) if row.wants_logits]
        assert 0 < len(rows) <= MAX_ROWS
        assert len(wanted) <= MAX_LOGIT_ROWS
        batch.counts[:] = len(rows), len(wanted)
        for index, row in enumerate(rows):
            batch.tokens[index], batch.positions[index], batch.slots[index] = (
                row.token,
                row.position,
                row.slot,
            )
        batch.logit_rows[: len(wanted)] = wanted
        shared.claims.fill(0)
        shared.finished.fill(0)
        began = perf_counter()
        self._team.run(self._kernels.forward, self._model, self._cache, self._buffers, batch, shared)
        seconds = perf_counter() - began
        ms_per_tick = seconds * 1e3 / max(1, int(shared.head_ticks[1]))
        timing = PassTiming(
            seconds,
            shared.layer_ticks.astype(np.float64) * ms_per_tick,
            float(shared.head_ticks[0]) * ms_per_tick,
        )
        return self._buffers.logits[: len(wanted)], timing

    def free(self) -> None:
        """Give the KV cache's memory back; no pass may follow."""
        self.pool.close()

    def _bind_model(self) -> Model:
        hp, tensors = self.hparams, self.gguf.tensors
        layers = range(hp.n_layers)
        names = [[f"blk.{layer}.{name}.weight" for name in MATRICES] for layer in layers]
        head = tensors["token_embd.weight" if hp.is_tied else "output.weight"]
        embedding = tensors["token_embd.weight"]
        cos, sin = rope_tables(hp.n_ctx, hp.rope_dim, hp.rope_theta)
        return Model(
            matrices=np.array([[self._matrix(tensors[name]) for name in row] for row in names], np.int64),
            head=np.array(self._matrix(head), np.int64),
            embedding=np.array(
                [self._kernels.decode[embedding.qtype], *self._matrix(embedding)[1:]], np.int64
            ),
            attention_norm=np.stack([_vector(tensors[f"blk.{layer}.attn_norm.weight"]) for layer in layers]),
            ffn_norm=np.stack([_vector(tensors[f"blk.{layer}.ffn_norm.weight"]) for layer in layers]),
            output_norm=_vector(tensors["output_norm.weight"]),
            qkv_bias=self._biases(),
            cos=cos,
            sin=sin,
            attention=self._kernels.attention,
            n_heads=hp.n_heads,
            n_kv_heads=hp.n_kv_heads,
            head_dim=hp.head_dim,
            vocab_size=hp.vocab_size,
            rms_eps=hp.rms_eps,
            is_rope_interleaved=hp.rope_style == "interleaved",
        )

    def _bind_cache(self) -> Cache:
        hp, width = self.hparams, key_bytes(self.gguf)
        return Cache(
            base=self.pool.base_address,
            block_bytes=self.pool.block_bytes,
            layer_bytes=self.pool.block_bytes // hp.n_layers,
            key_bytes=width,
            values_offset=hp.n_kv_heads * hp.head_dim * BLOCK_POSITIONS * width,
        )

    def _matrix(self, tensor: TensorInfo) -> tuple[int, int, int, int, int]:
        """(function, data, bytes per row, blocks per row, rows claimed at a time) of a weight matrix."""
        n_rows, n_cols = tensor.shape
        address = int(tensor.data.ctypes.data)
        function = self._kernels.matmul[tensor.qtype]
        n_blocks = n_cols // FORMATS[tensor.qtype].values
        return function, address, tensor.n_bytes // n_rows, n_blocks, unit_rows(n_rows, self._team.n_threads)

    def _biases(self) -> npt.NDArray[np.float32]:
        if not self.hparams.has_qkv_bias:
            return np.zeros((self.hparams.n_layers, 0), np.float32)
        tensors = self.gguf.tensors
        rows = [
            [_vector(tensors[f"blk.{layer}.attn_{part}.bias"]) for part in "qkv"]
            for layer in range(self.hparams.n_layers)
        ]
        return np.stack([np.concatenate(parts) for parts in rows])

    def _allocate_buffers(self, n_threads: int) -> Buffers:
        hp = self.hparams
        q_dim, kv_dim = hp.n_heads * hp.head_dim, hp.n_kv_heads * hp.head_dim
        scratch = max(
            matmul_scratch_floats(max(hp.dim, hp.hidden_dim, q_dim)),
            attention_scratch_floats(hp.n_heads // hp.n_kv_heads, hp.n_ctx),
        )

        skews = itertools.count(0, 7)

        def rows(width: int, count: int = MAX_ROWS) -> npt.NDArray[np.float32]:
            return _aligned_zeros(count, width, next(skews))

        return Buffers(
            residual=rows(hp.dim),
            normed=rows(hp.dim),
            qkv=rows(q_dim + 2 * kv_dim),
            attended=rows(q_dim),
            gate=rows(hp.hidden_dim),
            up=rows(hp.hidden_dim),
            last=rows(hp.dim, MAX_LOGIT_ROWS),
            head_in=rows(hp.dim, MAX_LOGIT_ROWS),
            logits=rows(hp.vocab_size, MAX_LOGIT_ROWS),
            scratch=rows(-(-scratch // 16) * 16, n_threads),
        )

    def _allocate_batch(self) -> Batch:
        blocks = -(-self.hparams.n_ctx // BLOCK_POSITIONS) + 1  # attention prefetches one entry ahead
        return Batch(
            counts=np.zeros(2, np.int64),
            tokens=np.zeros(MAX_ROWS, np.int32),
            positions=np.zeros(MAX_ROWS, np.int32),
            slots=np.zeros(MAX_ROWS, np.int32),
            tables=np.zeros((MAX_LOGIT_ROWS, blocks), np.int32),
            logit_rows=np.zeros(MAX_LOGIT_ROWS, np.int32),
        )


@dataclass(frozen=True)
class _Compiled:
    """Addresses by ggml type number, and the forward pass."""

    matmul: dict[int, int]
    decode: dict[int, int]
    attention: int
    forward: Any


def _compile(gguf: GGUFFile, progress: Progress | None) -> _Compiled:
    """Compile, or read from the disk cache, just the kernels that this model needs."""
    hp = gguf.hparams
    embedding = gguf.tensors["token_embd.weight"].qtype
    types = {tensor.qtype for tensor in gguf.tensors.values() if len(tensor.shape) == 2} | {embedding}
    total = len(types) + 3

    def report(done: int) -> None:
        if progress is not None:
            progress("compile kernels", done, total)

    matmul: dict[int, int] = {}
    report(0)
    for done, qtype in enumerate(sorted(types)):
        matmul[qtype] = int(Kernels.matmul(qtype).address)
        report(done + 1)
    decode = {embedding: int(Kernels.decode(embedding).address)}
    report(len(types) + 1)
    attention = int(Kernels.attention(hp.n_heads // hp.n_kv_heads, hp.head_dim, key_bytes(gguf)).address)
    report(len(types) + 2)
    forward = Kernels.forward()
    report(total)
    return _Compiled(matmul, decode, attention, forward)


def _aligned_zeros(n_rows: int, n_cols: int, skew: int) -> npt.NDArray[np.float32]:
    """float32 zeros (n_rows, n_cols) that begin with a cache line, `skew` lines away from where others do.

    With a multiple of 16 columns no 16-lane load straddles two lines; that is worth a tenth of prefill.
    Large arrays all begin at the same place of a memory page. Loads from one would then wait for stores to
    another at the same place of its page, which the CPU takes for the same address at first.
    """
    size = n_rows * n_cols
    memory = np.zeros(size + 16 * (skew + 1), np.float32)
    start = -memory.ctypes.data % 64 // 4 + 16 * skew
    return memory[start : start + size].reshape(n_rows, n_cols)


def _vector(tensor: TensorInfo) -> npt.NDArray[np.float32]:
    """A norm's weights or a bias: F32 or F16 in the file, float32 here."""
    stored = np.float32 if tensor.type_name == "F32" else np.float16
    return tensor.data.view(stored).astype(np.float32)


def rope_tables(
    n_ctx: int, rope_dim: int, theta: float
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """cos and sin of position x theta**(-2i / rope_dim): float32 (n_ctx, rope_dim / 2), from float64."""
    frequencies = theta ** (-np.arange(0, rope_dim, 2) / rope_dim)
    angles = np.outer(np.arange(n_ctx), frequencies)
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
