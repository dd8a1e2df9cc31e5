"""The steps of a pass, each a phase of work that the team's threads share; `forward` puts them in order.

Every step has the same form: claim a unit, compute it, finish it, until none is left; then settle.
"""

from typing import Any

import numpy as np
from numba import njit

from wse_backend.engine.kernels.arguments import (
    ATTENTION_OUT,
    DOWN,
    GATE,
    UP,
    Activations,
    Batch,
    Buffers,
    Cache,
    K,
    Matrix,
    Model,
    Q,
    Team,
    V,
)
from wse_backend.engine.kernels.attention import BLOCK_POSITIONS
from wse_backend.engine.kernels.pieces import (
    fault_at,
    gate_row,
    matrix,
    multiply_unit,
    quantize_row,
    rms_norm,
    unit_size,
    unit_tokens,
    units,
    units_of,
)
from wse_backend.engine.kernels.primitives import (
    call_attention,
    call_decode,
    softcap,
    store_float,
    store_half,
)
from wse_backend.engine.kernels.team import INNER, claim, finish, settle

LARGEST_HALF = np.float32(65504.0)


@njit(**INNER)
def embed(model: Model, buffers: Buffers, batch: Batch, team: Team, phase: int) -> None:
    """residual = the embedding of each row's token, scaled."""
    n, table = batch.counts[0], model.embedding
    size = unit_tokens(n)
    n_units = units(n, size)
    unit = claim(team, phase, n_units)
    while unit < n_units:
        for i in range(unit * size, min(n, (unit + 1) * size)):
            source = table.data + np.int64(batch.tokens[i]) * table.row_bytes
            target = buffers.residual.ctypes.data + i * buffers.residual.strides[0]
            call_decode(table.function, source, table.n_blocks, target)
            if model.embedding_scale != 1.0:
                for c in range(model.dim):
                    buffers.residual[i, c] *= np.float32(model.embedding_scale)
        finish(team, phase)
        unit = claim(team, phase, n_units)
    settle(team, phase, n_units)


@njit(**INNER)
def normalise(
    source: Any, weight: Any, dim: int, eps: float, rows: Any, n: int, out: Activations, batch: Batch,
    place: int, team: Team, phase: int,
) -> None:  # fmt: skip
    """out = rms_norm of `n` rows, as integers too. rows: which batch row each of them is."""
    size = unit_tokens(n)
    n_units = units(n, size)
    unit = claim(team, phase, n_units)
    while unit < n_units:
        for i in range(unit * size, min(n, (unit + 1) * size)):
            rms_norm(source[i], weight, dim, eps, out.values[i])
            quantize_row(out, i, 0, dim, batch, rows[i], place)
        finish(team, phase)
        unit = claim(team, phase, n_units)
    settle(team, phase, n_units)


@njit(**INNER)
def multiply_qkv(
    model: Model, layer: int, buffers: Buffers, n: int, team: Team, phase: int, scratch: int
) -> None:
    """qkv = queries, keys and values of all rows, side by side."""
    of_layer = model.matrices[layer]
    q, k, v = matrix(of_layer[Q]), matrix(of_layer[K]), matrix(of_layer[V])
    q_units, k_units = units_of(q, n), units_of(k, n)
    n_units = q_units + k_units + units_of(v, n)
    unit = claim(team, phase, n_units)
    while unit < n_units:
        if unit < q_units:
            multiply_unit(q, unit, buffers.normed, n, buffers.qkv, 0, scratch)
        elif unit < q_units + k_units:
            multiply_unit(k, unit - q_units, buffers.normed, n, buffers.qkv, q.n_rows, scratch)
        else:
            local, column = unit - q_units - k_units, q.n_rows + k.n_rows
            multiply_unit(v, local, buffers.normed, n, buffers.qkv, column, scratch)
        finish(team, phase)
        unit = claim(team, phase, n_units)
    settle(team, phase, n_units)


@njit(**INNER)
def rope(head: Any, cos: Any, sin: Any, is_interleaved: bool) -> None:
    """Turn the pairs of one head by its position's angles, in place (Su et al. 2021, arXiv 2104.09864)."""
    half = cos.size
    for i in range(half):
        a, b = (2 * i, 2 * i + 1) if is_interleaved else (i, i + half)
        x, y = head[a], head[b]
        head[a] = x * cos[i] - y * sin[i]
        head[b] = x * sin[i] + y * cos[i]


@njit(**INNER)
def _cache_row(model: Model, cache: Cache, layer: int, qkv: Any, position: int, table: Any) -> bool:
    """Write a position's keys and values into the cache; whether all of them could be written as numbers."""
    dim, is_finite = model.head_dim, True
    block, lane = table[position // BLOCK_POSITIONS], position % BLOCK_POSITIONS
    keys = cache.base + block * cache.block_bytes + layer * cache.layer_bytes
    values = keys + cache.values_offset
    k0 = model.n_heads * dim
    v0 = k0 + model.n_kv_heads * dim
    for i in range(model.n_kv_heads * dim):
        key, value, h, d = qkv[k0 + i], qkv[v0 + i], i // dim, i % dim
        key_at = keys + (i * BLOCK_POSITIONS + lane) * cache.key_bytes
        if cache.key_bytes == 2:
            store_half(key_at, key)
            is_finite &= abs(key) <= LARGEST_HALF
        else:
            store_float(key_at, key)
        store_half(values + ((h * BLOCK_POSITIONS + lane) * dim + d) * 2, value)
        is_finite &= abs(value) <= LARGEST_HALF
    return is_finite


@njit(**INNER)
def _normalise_heads(model: Model, x: Any, weight: Any) -> None:
    """RMS norm of each head in `x`, or of all together where `weight` is as long; in place."""
    for start in range(0, x.size, max(1, weight.size)):
        if weight.size > 0:
            part = x[start : start + weight.size]
            rms_norm(part, weight, weight.size, model.rms_eps, part)


@njit(**INNER)
def place(
    model: Model, cache: Cache, layer: int, batch: Batch, buffers: Buffers, team: Team, phase: int
) -> None:
    """Add biases, normalise heads, apply RoPE, scale the queries, write keys and values into the cache."""
    n, dim, table = batch.counts[0], model.head_dim, model.rope_table[layer]
    q_dim, kv_dim = model.n_heads * dim, model.n_kv_heads * dim
    scale = np.float32(model.attention_scale)
    size = unit_tokens(n)
    n_units = units(n, size)
    unit = claim(team, phase, n_units)
    while unit < n_units:
        for i in range(unit * size, min(n, (unit + 1) * size)):
            qkv, position = buffers.qkv[i], batch.positions[i]
            for c in range(model.qkv_bias.shape[1]):
                qkv[c] += model.qkv_bias[layer, c]
            _normalise_heads(model, qkv[:q_dim], model.q_norm[layer])
            _normalise_heads(model, qkv[q_dim : q_dim + kv_dim], model.k_norm[layer])
            if table >= 0:
                cos, sin = model.cos[table, position], model.sin[table, position]
                for h in range(model.n_heads + model.n_kv_heads):
                    rope(qkv[h * dim : (h + 1) * dim], cos, sin, model.is_rope_interleaved)
            for c in range(q_dim):
                qkv[c] *= scale
            is_finite = _cache_row(model, cache, layer, qkv, position, batch.tables[batch.slots[i]])
            if not is_finite and batch.faults[i] == 0:
                batch.faults[i] = fault_at(layer, ATTENTION_OUT)
        finish(team, phase)
        unit = claim(team, phase, n_units)
    settle(team, phase, n_units)


@njit(**INNER)
def _attend_head(
    model: Model, cache: Cache, layer: int, row: int, head: int, batch: Batch, buffers: Buffers,
    out_row: int, scratch: int,
) -> None:  # fmt: skip
    """Attention of one row for one KV head's group of query heads, over what the layer's window shows."""
    group, dim = model.n_heads // model.n_kv_heads, model.head_dim
    base, out = cache.base + layer * cache.layer_bytes, buffers.attended.values
    n_positions, window = np.int64(batch.positions[row]) + 1, model.windows[layer]
    hidden = max(0, n_positions - window) if window > 0 else 0
    skip = hidden % BLOCK_POSITIONS  # blocks that are hidden as a whole are not even looked up
    extras = model.attention_extras[layer, head]
    call_attention(
        model.attention,
        buffers.qkv.ctypes.data + row * buffers.qkv.strides[0] + head * group * dim * 4,
        batch.tables.ctypes.data + batch.slots[row] * batch.tables.strides[0] + (hidden - skip) // 4,
        skip,
        n_positions - (hidden - skip),
        base + head * dim * BLOCK_POSITIONS * cache.key_bytes,
        base + cache.values_offset + head * dim * BLOCK_POSITIONS * 2,
        cache.block_bytes,
        extras.ctypes.data,
        scratch,
        out.ctypes.data + out_row * out.strides[0] + head * group * dim * 4,
    )


@njit(**INNER)
def _heads_together(model: Model) -> int:
    """KV heads whose query heads fill whole blocks of activations."""
    width, together = model.n_heads // model.n_kv_heads * model.head_dim, 1
    while width * together % 32 and together < model.n_kv_heads:
        together += 1
    return together


@njit(**INNER)
def attend(
    model: Model, cache: Cache, layer: int, batch: Batch, buffers: Buffers, rows: Any, n: int, team: Team,
    phase: int, scratch: int,
) -> None:  # fmt: skip
    """attended[i] = attention of batch row rows[i], for `n` of them, as integers too."""
    together, width = _heads_together(model), model.n_heads // model.n_kv_heads * model.head_dim
    per_row = units(model.n_kv_heads, together)
    n_units = n * per_row
    unit = claim(team, phase, n_units)
    while unit < n_units:
        index, first = unit // per_row, unit % per_row * together
        stop = min(first + together, model.n_kv_heads)
        row = rows[index]
        for head in range(first, stop):
            _attend_head(model, cache, layer, row, head, batch, buffers, index, scratch)
        quantize_row(
            buffers.attended, index, first * width, (stop - first) * width, batch, row,
            fault_at(layer, ATTENTION_OUT),
        )  # fmt: skip
        finish(team, phase)
        unit = claim(team, phase, n_units)
    settle(team, phase, n_units)


@njit(**INNER)
def gather(buffers: Buffers, rows: Any, n: int, team: Team, phase: int) -> None:
    """last[i] = residual[rows[i]]: only rows whose logits are wanted go on from here."""
    unit = claim(team, phase, n)
    while unit < n:
        for c in range(buffers.last.shape[1]):  # an assignment of rows takes seconds to compile
            buffers.last[unit, c] = buffers.residual[rows[unit], c]
        finish(team, phase)
        unit = claim(team, phase, n)
    settle(team, phase, n)


@njit(**INNER)
def multiply_and_add(
    model: Model, matrix: Matrix, bias: Any, post_norm: Any, x: Activations, residual: Any, product: Any,
    n: int, team: Team, phase: int, scratch: int,
) -> None:  # fmt: skip
    """product[:n] = x[:n] . matrix + bias; residual += it, unless a norm comes first: `add_normalised`."""
    n_units, size, scale = units_of(matrix, n), unit_size(matrix, n), np.float32(model.residual_scale)
    unit = claim(team, phase, n_units)
    while unit < n_units:
        multiply_unit(matrix, unit, x, n, product, 0, scratch)
        start, stop = unit * size, min((unit + 1) * size, matrix.n_rows)
        for i in range(n):
            if bias.size > 0:
                for r in range(start, stop):
                    product[i, r] += bias[r]
            if post_norm.size == 0:
                for r in range(start, stop):
                    residual[i, r] += scale * product[i, r]
        finish(team, phase)
        unit = claim(team, phase, n_units)
    settle(team, phase, n_units)


@njit(**INNER)
def add_normalised(
    model: Model, product: Any, post_norm: Any, residual: Any, n: int, team: Team, phase: int
) -> None:
    """residual[:n] += rms_norm(product[:n]), where there is a norm after what was computed."""
    size = unit_tokens(n)
    n_units = units(n, size) if post_norm.size > 0 else 0
    scale = np.float32(model.residual_scale)
    unit = claim(team, phase, n_units)
    while unit < n_units:
        for i in range(unit * size, min(n, (unit + 1) * size)):
            rms_norm(product[i], post_norm, model.dim, model.rms_eps, product[i])
            for c in range(model.dim):
                residual[i, c] += scale * product[i, c]
        finish(team, phase)
        unit = claim(team, phase, n_units)
    settle(team, phase, n_units)


@njit(**INNER)
def multiply_gate_up(
    model: Model, layer: int, buffers: Buffers, batch: Batch, rows: Any, n: int, team: Team, phase: int,
    scratch: int,
) -> None:  # fmt: skip
    """gate = activation(normed . gate matrix) * (normed . up matrix), as integers too."""
    gate, up = matrix(model.matrices[layer, GATE]), matrix(model.matrices[layer, UP])
    out, size, n_units = buffers.gate, unit_size(gate, n), units_of(gate, n)
    unit = claim(team, phase, n_units)
    while unit < n_units:
        multiply_unit(gate, unit, buffers.normed, n, out.values, 0, scratch)
        multiply_unit(up, unit, buffers.normed, n, buffers.up, 0, scratch)
        start = unit * size
        width = min(size, model.hidden_dim - start)
        for i in range(n):
            down_fault = fault_at(layer, DOWN)
            gate_row(model.activation, out, buffers.up, i, start, width, batch, rows[i], down_fault)
        finish(team, phase)
        unit = claim(team, phase, n_units)
    settle(team, phase, n_units)


@njit(**INNER)
def multiply_head(model: Model, buffers: Buffers, n: int, team: Team, phase: int, scratch: int) -> None:
    """logits = head_in . head, scaled and capped."""
    n_units, size = units_of(model.head, n), unit_size(model.head, n)
    scale, cap = np.float32(model.logit_scale), np.float32(model.final_softcap)
    unit = claim(team, phase, n_units)
    while unit < n_units:
        multiply_unit(model.head, unit, buffers.head_in, n, buffers.logits, 0, scratch)
        start, stop = unit * size, min((unit + 1) * size, model.head.n_rows)
        for i in range(n):
            if scale != 1.0:
                for r in range(start, stop):
                    buffers.logits[i, r] *= scale
            if cap > 0.0:
                at = buffers.logits.ctypes.data + i * buffers.logits.strides[0] + start * 4
                softcap(at, stop - start, cap)
        finish(team, phase)
        unit = claim(team, phase, n_units)
    settle(team, phase, n_units)
