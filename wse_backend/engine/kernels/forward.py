"""The forward pass: one pass over the weights for all rows of a batch, run by a few threads together.

A row is one token at one position of one sequence; decode tokens and prefill tokens are rows alike. Every
thread calls `forward` with its own number; each step's work is claimed in small units from a shared
counter, and the next step begins when all units are done. No result depends on which thread computed it
or on what else is in the batch.
"""

import zlib
from typing import Any

from numba import njit

from wse_backend.engine.kernels import arguments, experts
from wse_backend.engine.kernels.arguments import (
    ATTENTION,
    ATTENTION_OUT,
    DOWN,
    FFN,
    GATE,
    NORM,
    OUTPUT,
    QKV,
    Q,
    Team,
)
from wse_backend.engine.kernels.experts import mixture
from wse_backend.engine.kernels.pieces import fault_at, matrix
from wse_backend.engine.kernels.primitives import ticks
from wse_backend.engine.kernels.source_stamp import SOURCE_STAMP
from wse_backend.engine.kernels.steps import (
    add_normalised,
    attend,
    embed,
    gather,
    multiply_and_add,
    multiply_gate_up,
    multiply_head,
    multiply_qkv,
    normalise,
    place,
)
from wse_backend.engine.kernels.team import JIT

PHASES_PER_LAYER = 8 + experts.N_PHASES


def n_phases(n_layers: int) -> int:
    """How many phases a pass has: the embedding, each layer's, the last norm, the head."""
    return n_layers * PHASES_PER_LAYER + 3


def compile_forward(has_experts: bool = False) -> Any:
    """Return the function below as a dispatcher whose machine code is cached on disk; it releases the GIL.

    has_experts: whether each layer has experts; the other branch is not compiled.
    """
    stamp = SOURCE_STAMP  # part of the cache's key, see there

    def forward(thread, n_threads, model, cache, buffers, batch, team):
        """Run one pass as thread `thread`: fills `buffers.logits` and extends the KV cache.

        Reads top to bottom like the paper (Touvron et al. 2023, arXiv 2302.13971): embed; per layer
        normalise, attend, add, normalise, feed forward, add; then the head where logits are wanted.
        What a family does otherwise is data: a norm, a bias, a table that is not there has the size 0.
        """
        _ = stamp
        team = Team(thread, n_threads, team.claims, team.finished, team.layer_ticks, team.head_ticks)
        n_layers, dim, eps = model.matrices.shape[0], model.dim, model.rms_eps
        residual, rows, n = buffers.residual, batch.rows, batch.counts[0]
        scratch = buffers.scratch.ctypes.data + thread * buffers.scratch.strides[0]
        phase = 1
        began = ticks()
        embed(model, buffers, batch, team, 0)
        for layer in range(n_layers):
            t0 = ticks()
            weight, fault = model.attention_norm[layer], fault_at(layer, Q)
            normalise(residual, weight, dim, eps, rows, n, buffers.normed, batch, fault, team, phase)
            t1 = ticks()
            multiply_qkv(model, layer, buffers, n, team, phase + 1, scratch)
            t2 = ticks()
            place(model, cache, layer, batch, buffers, team, phase + 2)
            if layer == n_layers - 1:  # from here on only what logits are wanted for
                gather(buffers, batch.logit_rows, batch.counts[1], team, phase + 3)
                residual, rows, n = buffers.last, batch.logit_rows, batch.counts[1]
            attend(model, cache, layer, batch, buffers, rows, n, team, phase + 4, scratch)
            t3 = ticks()
            output, post = matrix(model.matrices[layer, ATTENTION_OUT]), model.attention_post_norm[layer]
            multiply_and_add(
                model, output, model.output_bias[layer], post, buffers.attended, residual, buffers.product, n,
                team, phase + 5, scratch,
            )  # fmt: skip
            add_normalised(model, buffers.product, post, residual, n, team, phase + 6)
            t4 = ticks()
            weight, fault = model.ffn_norm[layer], fault_at(layer, GATE)
            normalise(residual, weight, dim, eps, rows, n, buffers.normed, batch, fault, team, phase + 7)
            t5 = ticks()
            if has_experts:
                mixture(
                    model, layer, buffers, batch, rows, residual, n, team, phase + 8, scratch
                )  # fmt: skip
            else:
                multiply_gate_up(model, layer, buffers, batch, rows, n, team, phase + 8, scratch)
                down, post = matrix(model.matrices[layer, DOWN]), model.ffn_post_norm[layer]
                multiply_and_add(
                    model, down, model.no_bias, post, buffers.gate, residual, buffers.product, n, team,
                    phase + 9, scratch,
                )  # fmt: skip
                add_normalised(model, buffers.product, post, residual, n, team, phase + 10)
            if thread == 0:
                spent = team.layer_ticks[layer]
                spent[NORM], spent[QKV] = (t1 - t0) + (t5 - t4), t2 - t1
                spent[ATTENTION], spent[OUTPUT], spent[FFN] = t3 - t2, t4 - t3, ticks() - t5
            phase += PHASES_PER_LAYER
        t6 = ticks()
        weight, fault = model.output_norm, fault_at(n_layers, Q)
        normalise(residual, weight, dim, eps, rows, n, buffers.head_in, batch, fault, team, phase)
        multiply_head(model, buffers, n, team, phase + 1, scratch)
        if thread == 0:
            team.head_ticks[0], team.head_ticks[1] = ticks() - t6, ticks() - began

    forward.__qualname__ = cache_name()
    return njit(cache=True, **JIT)(forward)


def cache_name() -> str:
    """What the cache's files are called: another name whenever a class of `arguments` gets one.

    The index in the cache mentions these classes, and is read as a whole before it is compared with the
    source: with a class gone, an index of yesterday's code would end every load with an AttributeError.
    """
    classes = sorted(name for name, value in vars(arguments).items() if isinstance(value, type))
    return f"forward_{zlib.crc32(' '.join(classes).encode()):08x}"
