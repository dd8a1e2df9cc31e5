"""The feed-forward network of a layer with experts, as steps like those of `steps`.

A token's router chooses some experts; only their weights are read. The tokens of a pass are brought into the
order of the experts, so that each chosen expert's weights are read once, whatever it has to do:

    position   0 1 2 | 3 | 4 5 6 7 ...     rows of `expert_in`, `expert_gate`, `expert_out`
    expert     a a a | c | f f f f ...     starts: where each expert's rows begin

(Shazeer et al. 2017, arXiv 1701.06538; Jiang et al. 2024, arXiv 2401.04088.)
"""

from typing import Any

import numpy as np
from numba import njit

from wse_backend.engine.kernels.arguments import (
    DOWN,
    GATE,
    ROUTER,
    UP,
    Batch,
    Buffers,
    ExpertRows,
    Matrix,
    Model,
    Team,
)
from wse_backend.engine.kernels.matmul import FEW_TOKENS
from wse_backend.engine.kernels.pieces import (
    SMALL_UNIT,
    fault_at,
    gate_row,
    matrix,
    multiply,
    multiply_rows,
    unit_tokens,
    units,
)
from wse_backend.engine.kernels.primitives import exp_of
from wse_backend.engine.kernels.steps import multiply_gate_up
from wse_backend.engine.kernels.team import INNER, claim, finish, settle

N_PHASES = 9
OF_GATE, OF_UP, OF_DOWN = range(3)  # in ExpertWeights.matrices


@njit(**INNER)
def _of_expert(model: Model, layer: int, which: int, expert: int) -> Matrix:
    """One expert's gate, up or down matrix."""
    m = matrix(model.experts.matrices[layer, which])
    data = m.data + expert * model.experts.strides[layer, which]
    return Matrix(m.function, data, m.group_bytes, m.n_blocks, m.n_rows, m.unit_rows, m.takes_floats)


@njit(**INNER)
def _choose(logits: Any, n_experts: int, sums_to_one: bool, chosen: Any, shares: Any) -> None:
    """The experts with the largest logits, the first of equals, largest first; and their shares."""
    for slot in range(chosen.size):
        best = -1
        for expert in range(n_experts):
            is_taken = False
            for earlier in range(slot):
                is_taken |= chosen[earlier] == expert
            if not is_taken and (best < 0 or logits[expert] > logits[best]):
                best = expert
        chosen[slot] = best
    top, total = logits[chosen[0]], np.float32(0.0)
    for slot in range(chosen.size):
        shares[slot] = exp_of(logits[chosen[slot]] - top)
        total += shares[slot]
    if not sums_to_one:
        total = np.float32(0.0)
        for expert in range(n_experts):
            total += exp_of(logits[expert] - top)
    for slot in range(chosen.size):
        shares[slot] /= total


@njit(**INNER)
def route(
    model: Model, layer: int, buffers: Buffers, batch: Batch, rows: Any, n: int, team: Team, phase: int
) -> None:
    """Choose each row's experts; note rows whose router is not finite."""
    routing, experts, size = buffers.routing, model.experts, unit_tokens(n)
    n_units = units(n, size)
    unit = claim(team, phase, n_units)
    while unit < n_units:
        for i in range(unit * size, min(n, (unit + 1) * size)):
            logits, is_finite = routing.logits[i], True
            for expert in range(experts.n_experts):
                if experts.router_bias.shape[1] > 0:
                    logits[expert] += experts.router_bias[layer, expert]
                is_finite &= abs(logits[expert]) < np.inf
            if not is_finite:
                if batch.faults[rows[i]] == 0:
                    batch.faults[rows[i]] = fault_at(layer, ROUTER)
                for expert in range(experts.n_experts):
                    logits[expert] = 0.0  # somebody has to be chosen
            chosen, shares = routing.chosen[layer, i], routing.shares[layer, i]
            _choose(logits, experts.n_experts, experts.sums_to_one, chosen, shares)
        finish(team, phase)
        unit = claim(team, phase, n_units)
    settle(team, phase, n_units)


@njit(**INNER)
def _sort(routing: ExpertRows, layer: int, n: int, n_experts: int) -> None:
    """Give every (row, choice) its position in the order of the experts; list the experts that are needed."""
    chosen, starts, next_free, active = routing.chosen[layer], routing.starts, routing.next_free, 0
    for expert in range(n_experts + 1):
        starts[expert] = 0
    for i in range(n):
        for slot in range(chosen.shape[1]):
            starts[chosen[i, slot] + 1] += 1
    for expert in range(n_experts):
        if starts[expert + 1] > 0:
            routing.active[active] = expert
            active += 1
        starts[expert + 1] += starts[expert]
        next_free[expert] = starts[expert]
    routing.counts[layer] = active
    for i in range(n):
        for slot in range(chosen.shape[1]):
            position = next_free[chosen[i, slot]]
            next_free[chosen[i, slot]] = position + 1
            routing.positions[i, slot] = position
            routing.row_at[position] = i


@njit(**INNER)
def sort_by_expert(model: Model, layer: int, buffers: Buffers, n: int, team: Team, phase: int) -> None:
    """One thread's work, and little."""
    unit = claim(team, phase, 1)
    if unit == 0:
        _sort(buffers.routing, layer, n, model.experts.n_experts)
        finish(team, phase)
    settle(team, phase, 1)


@njit(**INNER)
def gather_inputs(model: Model, layer: int, buffers: Buffers, n: int, team: Team, phase: int) -> None:
    """expert_in = normed, in the order of the experts."""
    source, target, routing = buffers.normed, buffers.expert_in, buffers.routing
    takes_floats = _of_expert(model, layer, OF_GATE, 0).takes_floats == 1
    total, size = n * model.experts.n_active, unit_tokens(n)
    n_units = units(total, size)
    unit = claim(team, phase, n_units)
    while unit < n_units:
        for position in range(unit * size, min(total, (unit + 1) * size)):
            i = routing.row_at[position]
            for byte in range(source.records.shape[1]):
                target.records[position, byte] = source.records[i, byte]
            if takes_floats:
                for c in range(source.values.shape[1]):
                    target.values[position, c] = source.values[i, c]
        finish(team, phase)
        unit = claim(team, phase, n_units)
    settle(team, phase, n_units)


@njit(**INNER)
def _add_bias(y: Any, first: int, n: int, start: int, stop: int, bias: Any) -> None:
    if bias.size > 0:
        for t in range(first, first + n):
            for r in range(start, stop):
                y[t, r] += bias[r]


@njit(**INNER)
def _expert_unit(m: Matrix, n_tokens: int, n_active: int) -> int:
    """How many rows of an expert to claim at a time, for so many tokens in all."""
    size: int = SMALL_UNIT if n_tokens <= FEW_TOKENS * n_active else m.unit_rows
    return size


@njit(**INNER)
def _rows_of(routing: ExpertRows, index: int) -> tuple[int, int, int]:
    """The expert that is `index`-th of those needed, the position of its first row, and how many it has."""
    expert = routing.active[index]
    first = routing.starts[expert]
    return expert, first, routing.starts[expert + 1] - first


@njit(**INNER)
def multiply_experts_gate_up(
    model: Model, layer: int, buffers: Buffers, batch: Batch, rows: Any, n: int, team: Team, phase: int,
    scratch: int,
) -> None:  # fmt: skip
    """expert_gate = activation(expert_in . gate) * (expert_in . up), each expert's; as integers too."""
    routing, experts, out = buffers.routing, model.experts, buffers.expert_gate
    n_active = routing.counts[layer] if n > 0 else 0
    shape = _of_expert(model, layer, OF_GATE, 0)
    size = _expert_unit(shape, n * experts.n_active, n_active)
    per_expert = units(shape.n_rows, size)
    n_units = n_active * per_expert
    unit = claim(team, phase, n_units)
    while unit < n_units:
        expert, first, count = _rows_of(routing, unit // per_expert)
        start = unit % per_expert * size
        stop = min(start + size, shape.n_rows)
        gate, up = _of_expert(model, layer, OF_GATE, expert), _of_expert(model, layer, OF_UP, expert)
        multiply_rows(gate, start, stop, buffers.expert_in, first, count, out.values, 0, scratch)
        multiply_rows(up, start, stop, buffers.expert_in, first, count, buffers.expert_up, 0, scratch)
        _add_bias(out.values, first, count, start, stop, experts.gate_bias[layer, expert])
        _add_bias(buffers.expert_up, first, count, start, stop, experts.up_bias[layer, expert])
        for t in range(first, first + count):
            row, place = rows[routing.row_at[t]], fault_at(layer, DOWN)
            gate_row(model.activation, out, buffers.expert_up, t, start, stop - start, batch, row, place)
        finish(team, phase)
        unit = claim(team, phase, n_units)
    settle(team, phase, n_units)


@njit(**INNER)
def multiply_experts_down(
    model: Model, layer: int, buffers: Buffers, n: int, team: Team, phase: int, scratch: int
) -> None:
    """expert_out = expert_gate . down, of each chosen expert."""
    routing, experts = buffers.routing, model.experts
    n_active = routing.counts[layer] if n > 0 else 0
    shape = _of_expert(model, layer, OF_DOWN, 0)
    size = _expert_unit(shape, n * experts.n_active, n_active)
    per_expert = units(shape.n_rows, size)
    n_units = n_active * per_expert
    unit = claim(team, phase, n_units)
    while unit < n_units:
        expert, first, count = _rows_of(routing, unit // per_expert)
        start = unit % per_expert * size
        stop = min(start + size, shape.n_rows)
        down = _of_expert(model, layer, OF_DOWN, expert)
        multiply_rows(down, start, stop, buffers.expert_gate, first, count, buffers.expert_out, 0, scratch)
        _add_bias(buffers.expert_out, first, count, start, stop, experts.down_bias[layer, expert])
        finish(team, phase)
        unit = claim(team, phase, n_units)
    settle(team, phase, n_units)


@njit(**INNER)
def combine(
    model: Model, layer: int, buffers: Buffers, residual: Any, n: int, team: Team, phase: int
) -> None:
    """residual += the chosen experts' outputs by their shares, and the shared one's by its own gate."""
    routing, experts = buffers.routing, model.experts
    scale, size = np.float32(model.residual_scale), unit_tokens(n)
    has_shared = matrix(model.matrices[layer, GATE]).n_rows > 0
    n_units = units(n, size)
    unit = claim(team, phase, n_units)
    while unit < n_units:
        for i in range(unit * size, min(n, (unit + 1) * size)):
            total = buffers.product[i]
            gate = np.float32(1.0)
            if experts.shared_gate.shape[1] > 0:
                dot = np.float32(0.0)
                for c in range(model.dim):
                    dot += experts.shared_gate[layer, c] * buffers.normed.values[i, c]
                gate /= np.float32(1.0) + exp_of(-dot)
            for c in range(model.dim):
                total[c] = gate * total[c] if has_shared else np.float32(0.0)
            for slot in range(experts.n_active):
                share, out = routing.shares[layer, i, slot], buffers.expert_out[routing.positions[i, slot]]
                for c in range(model.dim):
                    total[c] += share * out[c]
            for c in range(model.dim):
                residual[i, c] += scale * total[c]
        finish(team, phase)
        unit = claim(team, phase, n_units)
    settle(team, phase, n_units)


@njit(**INNER)
def mixture(
    model: Model, layer: int, buffers: Buffers, batch: Batch, rows: Any, residual: Any, n: int, team: Team,
    phase: int, scratch: int,
) -> None:  # fmt: skip
    """residual += the mixture of experts of `normed`."""
    router = matrix(model.experts.router[layer])
    multiply(router, buffers.normed, n, buffers.routing.logits, team, phase, scratch)
    route(model, layer, buffers, batch, rows, n, team, phase + 1)
    sort_by_expert(model, layer, buffers, n, team, phase + 2)
    gather_inputs(model, layer, buffers, n, team, phase + 3)
    multiply_experts_gate_up(model, layer, buffers, batch, rows, n, team, phase + 4, scratch)
    multiply_experts_down(model, layer, buffers, n, team, phase + 5, scratch)
    if matrix(model.matrices[layer, UP]).n_rows > 0:
        multiply_gate_up(model, layer, buffers, batch, rows, n, team, phase + 6, scratch)
        down = matrix(model.matrices[layer, DOWN])
        multiply(down, buffers.gate, n, buffers.product, team, phase + 7, scratch)
    combine(model, layer, buffers, residual, n, team, phase + 8)
