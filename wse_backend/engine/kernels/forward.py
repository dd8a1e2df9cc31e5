"""The forward pass: one pass over the weights for all rows of a batch, run by a few threads together.

A row is one token at one position of one sequence; decode tokens and prefill tokens are rows alike. Every
thread calls `forward` with its own number; each phase's work is claimed in small units from a shared
counter, and the next phase begins when all units are done. No result depends on which thread computed it
or on what else is in the batch.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from wse_backend.engine.kernels.matmul import FUSED_TOKENS
from wse_backend.engine.kernels.primitives import (
    atomic_add,
    atomic_load,
    call_attention,
    call_decode,
    call_matmul,
    pause,
    store_float,
    store_half,
    sum_of_squares,
    swiglu,
    ticks,
    yield_core,
)
from wse_backend.engine.kernels.source_stamp import SOURCE_STAMP

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

# Weight rows claimed at a time, see unit_rows: enough for a tile. Up to FUSED_TOKENS none is decoded, and
# small units let the threads end together; 16 and 64 rows were slower.
UNIT_SIZES = (96, 112, 128, 144)
SMALL_UNIT = 32
UNIT_TOKENS = 8  # batch rows claimed at a time where each row is little work, and there are many
PHASES_PER_LAYER = 8
LINE = 8  # int64 per cache line: each shared counter has one of its own
SPINS_BEFORE_YIELD = 4000

_JIT = {"nogil": True, "error_model": "numpy"}
# For what is called by compiled code only, and cached as part of `forward`: Python needs no way in.
_INNER = {**_JIT, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}


class Model(NamedTuple):
    """Read-only weights.

    A matrix is (function address, data address, bytes per row, blocks per row, rows claimed at a time).
    """

    matrices: Ints  # (n_layers, 7, 5): q, k, v, output, gate, up, down
    head: Ints  # (5,)
    embedding: Ints  # (5,), with a function of compile_decode
    attention_norm: Floats  # (n_layers, dim)
    ffn_norm: Floats  # (n_layers, dim)
    output_norm: Floats  # (dim,)
    qkv_bias: Floats  # (n_layers, q_dim + 2 kv_dim), or (n_layers, 0)
    cos: Floats  # (n_ctx, rope_dim / 2)
    sin: Floats
    attention: int  # address of a function of compile_attention
    n_heads: int
    n_kv_heads: int
    head_dim: int
    vocab_size: int
    rms_eps: float
    is_rope_interleaved: bool


class Cache(NamedTuple):
    """Where the paged KV cache lies: block x layer x (keys, values) x KV head x 16 positions x head_dim."""

    base: int  # address of block 0
    block_bytes: int
    layer_bytes: int
    key_bytes: int  # per key entry: 2 (float16) or 4 (float32)
    values_offset: int  # from a layer's keys to its values


class Buffers(NamedTuple):
    """Scratch of one engine, float32, one row per batch row."""

    residual: Floats  # (rows, dim)
    normed: Floats  # (rows, dim)
    qkv: Floats  # (rows, q_dim + 2 kv_dim)
    attended: Floats  # (rows, q_dim)
    gate: Floats  # (rows, hidden_dim)
    up: Floats  # (rows, hidden_dim)
    last: Floats  # (logit rows, dim): the residual of the rows that want logits, in the last layer
    head_in: Floats  # (logit rows, dim)
    logits: Floats  # (logit rows, vocab_size)
    scratch: Floats  # (threads, scratch floats)


class Batch(NamedTuple):
    """What one pass computes. Written by the scheduler between passes."""

    counts: Ints  # (2,): rows, logit rows
    tokens: npt.NDArray[np.int32]  # (rows,)
    positions: npt.NDArray[np.int32]  # (rows,)
    slots: npt.NDArray[np.int32]  # (rows,): which row of `tables` holds the sequence's cache blocks
    tables: npt.NDArray[np.int32]  # (slots, blocks per sequence)
    logit_rows: npt.NDArray[np.int32]  # (logit rows,): for which rows logits are wanted


class Team(NamedTuple):
    """Shared state of the threads of one pass."""

    thread: int  # which of them this is
    n_threads: int
    claims: Ints  # (phases x threads x LINE,): units taken of each thread's share; zeroed before each pass
    finished: Ints  # (phases x LINE,): units that are done; zeroed before each pass
    layer_ticks: Ints  # (n_layers, 5): time per operation group, written by thread 0
    head_ticks: Ints  # (2,): head, whole pass


def unit_rows(n_rows: int, n_threads: int) -> int:
    """How many weight rows of a matrix with `n_rows` to claim at a time, so that all threads end together."""

    def longest(size: int) -> int:  # rows of the thread with most units
        n_units = -(-n_rows // size)
        return -(-n_units // n_threads) * size

    return min(UNIT_SIZES, key=longest)


def n_phases(n_layers: int) -> int:
    """How many phases a pass has: the embedding, each layer's, the last norm, the head."""
    return n_layers * PHASES_PER_LAYER + 3


@njit(**_INNER)
def _claim(team: Team, phase: int, n_units: int) -> int:
    """Take a unit of a phase, first of this thread's own share, then of the others'; n_units: none is left.

    A share is contiguous, so that a thread reads on where it has prefetched to.
    """
    for step in range(team.n_threads):
        owner = (team.thread + step) % team.n_threads
        first, stop = n_units * owner // team.n_threads, n_units * (owner + 1) // team.n_threads
        taken = team.claims.ctypes.data + (phase * team.n_threads + owner) * LINE * 8
        if first + atomic_load(taken) < stop:
            unit: int = first + atomic_add(taken, 1)
            if unit < stop:
                return unit
    return n_units


@njit(**_INNER)
def _finish(team: Team, phase: int) -> None:
    """Say that one unit is done."""
    atomic_add(team.finished.ctypes.data + phase * LINE * 8, 1)


@njit(**_INNER)
def _settle(team: Team, phase: int, n_units: int) -> None:
    """Wait until all units of a phase are done.

    Only units that another thread is working on are waited for: a thread that lost its core while it had
    nothing in hand holds nobody up, and finds its way through the phases it missed when it returns.
    """
    finished = team.finished.ctypes.data + phase * LINE * 8
    spins = 0
    while atomic_load(finished) < n_units:
        pause()
        spins += 1
        if spins > SPINS_BEFORE_YIELD:  # somebody else needs this core, perhaps the very thread waited for
            yield_core()


@njit(**_INNER)
def _rms_norm(x: Any, weight: Any, eps: float, out: Any) -> None:
    """out = x / sqrt(mean(x^2) + eps) * weight, all float32 (dim,). Zhang & Sennrich 2019, eq. 4."""
    mean = sum_of_squares(x.ctypes.data, x.size) / np.float32(x.size)
    scale = np.float32(1.0) / np.sqrt(mean + np.float32(eps))
    for i in range(x.size):
        out[i] = x[i] * scale * weight[i]


@njit(**_INNER)
def _rope(head: Any, cos: Any, sin: Any, is_interleaved: bool) -> None:
    """Turn the pairs of one head by its position's angles, in place (Su et al. 2021, arXiv 2104.09864)."""
    half = cos.size
    for i in range(half):
        a, b = (2 * i, 2 * i + 1) if is_interleaved else (i, i + half)
        x, y = head[a], head[b]
        head[a] = x * cos[i] - y * sin[i]
        head[b] = x * sin[i] + y * cos[i]


@njit(**_INNER)
def _place_row(model: Model, cache: Cache, layer: int, qkv: Any, position: int, table: Any) -> None:
    """Add biases, apply RoPE, scale the queries, and write this position's keys and values into the cache."""
    if model.qkv_bias.shape[1] > 0:
        for i in range(qkv.size):
            qkv[i] += model.qkv_bias[layer, i]
    dim, cos, sin = model.head_dim, model.cos[position], model.sin[position]
    for h in range(model.n_heads + model.n_kv_heads):
        _rope(qkv[h * dim : (h + 1) * dim], cos, sin, model.is_rope_interleaved)
    scale = np.float32(1.0 / np.sqrt(dim))
    for i in range(model.n_heads * dim):
        qkv[i] *= scale
    block, lane = table[position // 16], position % 16
    keys = cache.base + block * cache.block_bytes + layer * cache.layer_bytes
    values = keys + cache.values_offset
    k0 = model.n_heads * dim
    v0 = k0 + model.n_kv_heads * dim
    for h in range(model.n_kv_heads):
        for d in range(dim):
            key_at = keys + ((h * dim + d) * 16 + lane) * cache.key_bytes
            if cache.key_bytes == 2:
                store_half(key_at, qkv[k0 + h * dim + d])
            else:
                store_float(key_at, qkv[k0 + h * dim + d])
            store_half(values + ((h * 16 + lane) * dim + d) * 2, qkv[v0 + h * dim + d])


@njit(**_INNER)
def _attend(
    model: Model,
    cache: Cache,
    layer: int,
    row: int,
    head: int,
    batch: Batch,
    buffers: Buffers,
    out_row: int,
    scratch: int,
) -> None:
    """Attention of one row for one KV head's group of query heads."""
    group, dim = model.n_heads // model.n_kv_heads, model.head_dim
    base = cache.base + layer * cache.layer_bytes
    call_attention(
        model.attention,
        buffers.qkv.ctypes.data + row * buffers.qkv.strides[0] + head * group * dim * 4,
        batch.tables.ctypes.data + batch.slots[row] * batch.tables.strides[0],
        np.int64(batch.positions[row]) + 1,
        base + head * dim * 16 * cache.key_bytes,
        base + cache.values_offset + head * dim * 16 * 2,
        cache.block_bytes,
        scratch,
        buffers.attended.ctypes.data + out_row * buffers.attended.strides[0] + head * group * dim * 4,
    )


@njit(**_INNER)
def _unit_tokens(n: int) -> int:
    """How many batch rows to claim at a time where each is little work."""
    return 1 if n <= FUSED_TOKENS else UNIT_TOKENS


@njit(**_INNER)
def _unit_size(matrix: Any, n: int) -> int:
    """How many rows of a matrix to claim at a time, for a batch of `n` rows."""
    size: int = SMALL_UNIT if n <= FUSED_TOKENS else matrix[4]
    return size


@njit(**_INNER)
def _multiply(matrix: Any, unit: int, n_rows: int, x: Any, n: int, y: Any, column: int, scratch: int) -> None:
    """y[:n, column + r] = x[:n] . matrix[r] for the weight rows r of one unit."""
    size = _unit_size(matrix, n)
    start = unit * size
    stop = min(start + size, n_rows)
    call_matmul(
        matrix[0], matrix[1], matrix[2], matrix[3], start, stop,
        x.ctypes.data, x.strides[0], n, y.ctypes.data + column * 4, y.strides[0], scratch,
    )  # fmt: skip


@njit(**_INNER)
def _units(n: int, size: int) -> int:
    return (n + size - 1) // size


@njit(**_INNER)
def _embed(model: Model, buffers: Buffers, batch: Batch, team: Team, phase: int) -> None:
    n = batch.counts[0]
    size = _unit_tokens(n)
    n_units = _units(n, size)
    unit = _claim(team, phase, n_units)
    while unit < n_units:
        for i in range(unit * size, min(n, (unit + 1) * size)):
            source = model.embedding[1] + np.int64(batch.tokens[i]) * model.embedding[2]
            call_decode(model.embedding[0], source, model.embedding[3], buffers.residual[i].ctypes.data)
        _finish(team, phase)
        unit = _claim(team, phase, n_units)
    _settle(team, phase, n_units)


@njit(**_INNER)
def _normalise(source: Any, weight: Any, eps: float, n: int, out: Any, team: Team, phase: int) -> None:
    size = _unit_tokens(n)
    n_units = _units(n, size)
    unit = _claim(team, phase, n_units)
    while unit < n_units:
        for i in range(unit * size, min(n, (unit + 1) * size)):
            _rms_norm(source[i], weight, eps, out[i])
        _finish(team, phase)
        unit = _claim(team, phase, n_units)
    _settle(team, phase, n_units)


@njit(**_INNER)
def _multiply_qkv(
    model: Model, layer: int, buffers: Buffers, n: int, team: Team, phase: int, scratch: int
) -> None:
    q_dim, kv_dim = model.n_heads * model.head_dim, model.n_kv_heads * model.head_dim
    q_units, kv_units = (
        _units(q_dim, _unit_size(model.matrices[layer, 0], n)),
        _units(kv_dim, _unit_size(model.matrices[layer, 1], n)),
    )
    n_units = q_units + 2 * kv_units
    unit = _claim(team, phase, n_units)
    while unit < n_units:
        if unit < q_units:
            which, local, rows, column = 0, unit, q_dim, 0
        elif unit < q_units + kv_units:
            which, local, rows, column = 1, unit - q_units, kv_dim, q_dim
        else:
            which, local, rows, column = 2, unit - q_units - kv_units, kv_dim, q_dim + kv_dim
        _multiply(model.matrices[layer, which], local, rows, buffers.normed, n, buffers.qkv, column, scratch)
        _finish(team, phase)
        unit = _claim(team, phase, n_units)
    _settle(team, phase, n_units)


@njit(**_INNER)
def _place(
    model: Model, cache: Cache, layer: int, batch: Batch, buffers: Buffers, team: Team, phase: int
) -> None:
    n = batch.counts[0]
    size = _unit_tokens(n)
    n_units = _units(n, size)
    unit = _claim(team, phase, n_units)
    while unit < n_units:
        for i in range(unit * size, min(n, (unit + 1) * size)):
            table = batch.tables[batch.slots[i]]
            _place_row(model, cache, layer, buffers.qkv[i], batch.positions[i], table)
        _finish(team, phase)
        unit = _claim(team, phase, n_units)
    _settle(team, phase, n_units)


@njit(**_INNER)
def _attend_all(
    model: Model,
    cache: Cache,
    layer: int,
    batch: Batch,
    buffers: Buffers,
    team: Team,
    phase: int,
    scratch: int,
) -> None:
    """Attention of all rows; in the last layer only of those that want logits, gathered in `last`."""
    is_last = layer == model.matrices.shape[0] - 1
    n_units = batch.counts[1 if is_last else 0] * model.n_kv_heads
    unit = _claim(team, phase, n_units)
    while unit < n_units:
        index, head = unit // model.n_kv_heads, unit % model.n_kv_heads
        row = batch.logit_rows[index] if is_last else index
        _attend(model, cache, layer, row, head, batch, buffers, index, scratch)
        if is_last and head == 0:
            for i in range(buffers.last.shape[1]):  # an assignment of rows takes seconds to compile
                buffers.last[index, i] = buffers.residual[row, i]
        _finish(team, phase)
        unit = _claim(team, phase, n_units)
    _settle(team, phase, n_units)


@njit(**_INNER)
def _multiply_and_add(
    matrix: Any, x: Any, residual: Any, product: Any, n: int, team: Team, phase: int, scratch: int
) -> None:
    """residual[:n] += x[:n] . matrix, by way of `product`."""
    dim, size = residual.shape[1], _unit_size(matrix, n)
    n_units = _units(dim, size) if n > 0 else 0
    unit = _claim(team, phase, n_units)
    while unit < n_units:
        _multiply(matrix, unit, dim, x, n, product, 0, scratch)
        for i in range(n):
            for r in range(unit * size, min((unit + 1) * size, dim)):
                residual[i, r] += product[i, r]
        _finish(team, phase)
        unit = _claim(team, phase, n_units)
    _settle(team, phase, n_units)


@njit(**_INNER)
def _multiply_gate_up(
    model: Model, layer: int, buffers: Buffers, n: int, team: Team, phase: int, scratch: int
) -> None:
    hidden_dim, size = buffers.gate.shape[1], _unit_size(model.matrices[layer, 4], n)
    n_units = _units(hidden_dim, size) if n > 0 else 0
    unit = _claim(team, phase, n_units)
    while unit < n_units:
        _multiply(model.matrices[layer, 4], unit, hidden_dim, buffers.normed, n, buffers.gate, 0, scratch)
        _multiply(model.matrices[layer, 5], unit, hidden_dim, buffers.normed, n, buffers.up, 0, scratch)
        start = unit * size
        width = min(size, hidden_dim - start)
        for i in range(n):
            offset = i * buffers.gate.strides[0] + start * 4
            swiglu(buffers.gate.ctypes.data + offset, buffers.up.ctypes.data + offset, width)
        _finish(team, phase)
        unit = _claim(team, phase, n_units)
    _settle(team, phase, n_units)


@njit(**_INNER)
def _head(model: Model, buffers: Buffers, batch: Batch, team: Team, phase: int, scratch: int) -> None:
    """Logits of the rows that want them: normalise, multiply by the head."""
    m = batch.counts[1]
    unit = _claim(team, phase, m)
    while unit < m:
        _rms_norm(buffers.last[unit], model.output_norm, model.rms_eps, buffers.head_in[unit])
        _finish(team, phase)
        unit = _claim(team, phase, m)
    _settle(team, phase, m)
    n_units = _units(model.vocab_size, _unit_size(model.head, m)) if m > 0 else 0
    unit = _claim(team, phase + 1, n_units)
    while unit < n_units:
        _multiply(model.head, unit, model.vocab_size, buffers.head_in, m, buffers.logits, 0, scratch)
        _finish(team, phase + 1)
        unit = _claim(team, phase + 1, n_units)
    _settle(team, phase + 1, n_units)


def compile_forward() -> Any:
    """Return the function below as a dispatcher whose machine code is cached on disk; it releases the GIL."""
    stamp = SOURCE_STAMP  # part of the cache's key, see there

    @njit(cache=True, **_JIT)
    def forward(thread, n_threads, model, cache, buffers, batch, team):
        """Run one pass as thread `thread`: fills `buffers.logits` and extends the KV cache.

        Reads top to bottom like the paper (Touvron et al. 2023, arXiv 2302.13971): embed; per layer
        normalise, attend, add, normalise, feed forward, add; then the head where logits are wanted.
        """
        _ = stamp
        team = Team(thread, n_threads, team.claims, team.finished, team.layer_ticks, team.head_ticks)
        n, residual, normed = batch.counts[0], buffers.residual, buffers.normed
        scratch = buffers.scratch.ctypes.data + thread * buffers.scratch.strides[0]
        phase, eps = 1, model.rms_eps
        began = ticks()
        _embed(model, buffers, batch, team, 0)
        for layer in range(model.matrices.shape[0]):
            t0 = ticks()
            _normalise(residual, model.attention_norm[layer], eps, n, normed, team, phase)
            t1 = ticks()
            _multiply_qkv(model, layer, buffers, n, team, phase + 1, scratch)
            t2 = ticks()
            _place(model, cache, layer, batch, buffers, team, phase + 2)
            _attend_all(model, cache, layer, batch, buffers, team, phase + 3, scratch)
            if layer == model.matrices.shape[0] - 1:  # from here on only what logits are wanted for
                n, residual = batch.counts[1], buffers.last
            t3 = ticks()
            output, down = model.matrices[layer, 3], model.matrices[layer, 6]
            _multiply_and_add(output, buffers.attended, residual, normed, n, team, phase + 4, scratch)
            t4 = ticks()
            _normalise(residual, model.ffn_norm[layer], eps, n, normed, team, phase + 5)
            t5 = ticks()
            _multiply_gate_up(model, layer, buffers, n, team, phase + 6, scratch)
            _multiply_and_add(down, buffers.gate, residual, normed, n, team, phase + 7, scratch)
            if thread == 0:
                spent = team.layer_ticks[layer]
                spent[0], spent[1], spent[2] = (t1 - t0) + (t5 - t4), t2 - t1, t3 - t2
                spent[3], spent[4] = t4 - t3, ticks() - t5
            phase += PHASES_PER_LAYER
        t6 = ticks()
        _head(model, buffers, batch, team, phase, scratch)
        if thread == 0:
            team.head_ticks[0], team.head_ticks[1] = ticks() - t6, ticks() - began

    return forward
