"""The memory of passes: scratch of the kernels, and what a pass is told."""

import itertools

import numpy as np
import numpy.typing as npt

from wse_backend.engine.kernels.activations import record_bytes
from wse_backend.engine.kernels.arguments import Activations, Batch, Buffers, ExpertRows, padded
from wse_backend.engine.kernels.attention import BLOCK_POSITIONS, attention_scratch_floats
from wse_backend.engine.kernels.matmul import matmul_scratch_floats
from wse_backend.weights.hparams import HParams

MAX_ROWS = 256  # rows of one pass: enough to decode each weight once for many tokens
MAX_LOGIT_ROWS = 32  # rows of one pass whose logits are computed; also the sequences that run at once


def allocate_buffers(hp: HParams, n_ctx: int, n_threads: int) -> Buffers:
    """Scratch for passes of up to MAX_ROWS rows."""
    q_dim, kv_dim = hp.n_heads * hp.head_dim, hp.n_kv_heads * hp.head_dim
    scratch = max(matmul_scratch_floats(), attention_scratch_floats(hp.n_heads // hp.n_kv_heads, n_ctx))
    skews = itertools.count(0, 7)
    n_positions = MAX_ROWS * hp.n_experts_active

    def rows(width: int, count: int = MAX_ROWS) -> npt.NDArray[np.float32]:
        return _aligned_zeros(count, padded(width), next(skews))

    def activations(width: int, count: int = MAX_ROWS) -> Activations:
        records = _aligned_zeros(count, record_bytes(width) // 4, next(skews))
        return Activations(rows(width, count), records.view(np.uint8))

    return Buffers(
        residual=rows(hp.dim),
        normed=activations(hp.dim),
        product=rows(hp.dim),
        qkv=rows(q_dim + 2 * kv_dim),
        attended=activations(q_dim),
        gate=activations(hp.dense_hidden_dim),
        up=rows(hp.dense_hidden_dim),
        routing=_allocate_routing(hp) if hp.n_experts else (),
        expert_in=activations(hp.dim, n_positions) if hp.n_experts else (),
        expert_gate=activations(hp.expert_hidden_dim, n_positions) if hp.n_experts else (),
        expert_up=rows(hp.expert_hidden_dim, n_positions) if hp.n_experts else (),
        expert_out=rows(hp.dim, n_positions) if hp.n_experts else (),
        last=rows(hp.dim, MAX_LOGIT_ROWS),
        head_in=activations(hp.dim, MAX_LOGIT_ROWS),
        logits=_aligned_zeros(MAX_LOGIT_ROWS, hp.vocab_size, next(skews)),
        scratch=rows(scratch, n_threads),
    )


def _allocate_routing(hp: HParams) -> ExpertRows:
    n, k = hp.n_experts, hp.n_experts_active
    return ExpertRows(
        logits=np.zeros((MAX_ROWS, n), np.float32),
        chosen=np.zeros((hp.n_layers, MAX_ROWS, k), np.int32),
        shares=np.zeros((hp.n_layers, MAX_ROWS, k), np.float32),
        starts=np.zeros(n + 1, np.int64),
        next_free=np.zeros(n, np.int64),
        active=np.zeros(n, np.int64),
        counts=np.zeros(hp.n_layers, np.int64),
        positions=np.zeros((MAX_ROWS, k), np.int64),
        row_at=np.zeros(MAX_ROWS * k, np.int64),
    )


def allocate_batch(n_ctx: int) -> Batch:
    """Room for what one pass is told."""
    blocks = -(-n_ctx // BLOCK_POSITIONS) + 1  # attention prefetches one entry ahead
    return Batch(
        counts=np.zeros(2, np.int64),
        tokens=np.zeros(MAX_ROWS, np.int32),
        positions=np.zeros(MAX_ROWS, np.int32),
        slots=np.zeros(MAX_ROWS, np.int32),
        tables=np.zeros((MAX_LOGIT_ROWS, blocks), np.int32),
        rows=np.arange(MAX_ROWS, dtype=np.int32),
        logit_rows=np.zeros(MAX_LOGIT_ROWS, np.int32),
        faults=np.zeros(MAX_ROWS, np.int64),
    )


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
