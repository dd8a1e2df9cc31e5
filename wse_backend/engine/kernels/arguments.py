"""What a pass is given: the model's weights, its cache, scratch, the batch, and the team that computes it.

Named tuples of numpy arrays and numbers, as compiled code takes them. Rows of scratch are padded with zeros
to whole blocks of 32 columns, so that no kernel has to stop in the middle of one.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Indices = npt.NDArray[np.int32]

NORM, QKV, ATTENTION, OUTPUT, FFN = range(5)  # columns of a pass's times, as in completion.OP_GROUPS

# The matrices of a layer, in the order of `Model.matrices`, by their names in a GGUF file.
MATRICES = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
Q, K, V, ATTENTION_OUT, GATE, UP, DOWN = range(len(MATRICES))
ROUTER = len(MATRICES)  # of a layer's experts, see `ExpertWeights`

SILU, GELU, CLAMPED = range(3)  # activations of the gate, see primitives

LINE = 8  # int64 per cache line: each shared counter has one of its own


class Matrix(NamedTuple):
    """A weight matrix, regrouped: y = x . matrix."""

    function: int  # address of a function of compile_matmul
    data: int  # address of its weights
    group_bytes: int  # of 16 rows
    n_blocks: int  # per row
    n_rows: int
    unit_rows: int  # rows that a thread claims at a time
    takes_floats: int  # 1: multiplies activations as float32, 0: as integers


class Embedding(NamedTuple):
    """The embedding, as it lies in the file: only rows of tokens that come up are ever read."""

    function: int  # address of a function of compile_decode
    data: int
    row_bytes: int
    n_blocks: int  # per row


class ExpertWeights(NamedTuple):
    """The experts of all layers; without any, n_experts is 0 and nothing here is read."""

    router: Ints  # (n_layers, fields of Matrix)
    matrices: Ints  # (n_layers, 3, fields of Matrix): gate, up and down of the first expert
    strides: Ints  # (n_layers, 3): bytes from one expert's weights to the next one's
    router_bias: Floats  # (n_layers, n_experts), or (n_layers, 0)
    gate_bias: Floats  # (n_layers, n_experts, width), or (n_layers, n_experts, 0)
    up_bias: Floats
    down_bias: Floats
    shared_gate: Floats  # (n_layers, dim), of the shared expert, or (n_layers, 0)
    n_experts: int
    n_active: int  # of them, chosen for each token
    sums_to_one: bool  # the shares of those


class Model(NamedTuple):
    """Read-only weights and numbers of a model. q_dim: n_heads x head_dim, kv_dim: n_kv_heads x head_dim."""

    matrices: Ints  # (n_layers, 7, fields of Matrix); see `matrix`
    head: Matrix
    embedding: Embedding
    attention_norm: Floats  # (n_layers, dim), padded; here and below (n_layers, 0) where there is none
    attention_post_norm: Floats  # the same
    ffn_norm: Floats
    ffn_post_norm: Floats
    output_norm: Floats  # (dim,), padded
    q_norm: Floats  # (n_layers, head_dim), of each head, or (n_layers, q_dim), of all together
    k_norm: Floats  # the same, of head_dim or kv_dim
    qkv_bias: Floats  # (n_layers, q_dim + 2 kv_dim)
    output_bias: Floats  # (n_layers, dim)
    no_bias: Floats  # (0,)
    cos: Floats  # (tables, n_ctx, rope_dim / 2)
    sin: Floats
    rope_table: Ints  # (n_layers,): which table turns the layer; -1: none
    windows: Ints  # (n_layers,): how many positions the layer sees; 0: all
    attention: int  # address of a function of compile_attention
    attention_extras: Floats  # (n_layers, n_kv_heads, 1 + query heads): soft cap, and each head's sink
    activation: int  # of the gate: SILU, GELU or CLAMPED
    experts: Any  # ExpertWeights, or () where there are none: what is not there need not be compiled
    n_heads: int
    n_kv_heads: int
    head_dim: int
    dim: int
    hidden_dim: int  # of the matrices GATE, UP and DOWN; where there are experts, of the shared one
    rms_eps: float
    embedding_scale: float
    residual_scale: float
    attention_scale: float
    logit_scale: float
    final_softcap: float  # c of c * tanh(logit / c); 0: none
    is_rope_interleaved: bool


class Cache(NamedTuple):
    """Where the paged KV cache lies: block x layer x (keys, values) x KV head x 16 positions x head_dim."""

    base: int  # address of block 0
    block_bytes: int
    layer_bytes: int
    key_bytes: int  # per key entry: 2 (float16) or 4 (float32)
    values_offset: int  # from a layer's keys to its values


class Activations(NamedTuple):
    """What a matrix multiplies: rows of float32, and the same as records of integers (see activations.py)."""

    values: Floats  # (rows, columns), padded
    records: Bytes  # (rows, record_bytes)


class ExpertRows(NamedTuple):
    """Which experts the rows of a pass go to. Positions: see `experts`."""

    logits: Floats  # (rows, n_experts)
    chosen: Indices  # (n_layers, rows, n_active), largest share first
    shares: Floats  # (n_layers, rows, n_active)
    starts: Ints  # (n_experts + 1,): the position where each expert's rows begin
    next_free: Ints  # (n_experts,)
    active: Ints  # (n_experts,): the experts that have rows
    counts: Ints  # (n_layers,): how many those are; a late thread asks after the next layer has begun
    positions: Ints  # (rows, n_active)
    row_at: Ints  # (rows x n_active,)


class Buffers(NamedTuple):
    """Scratch of one engine, one row per batch row."""

    residual: Floats  # (rows, dim), padded
    normed: Activations  # (rows, dim)
    product: Floats  # (rows, dim)
    qkv: Floats  # (rows, q_dim + 2 kv_dim)
    attended: Activations  # (rows, q_dim)
    gate: Activations  # (rows, hidden_dim)
    up: Floats  # (rows, hidden_dim)
    routing: Any  # ExpertRows; this and the next four are () where there are no experts
    expert_in: Any  # Activations, (rows x n_active, dim), in the order of the experts
    expert_gate: Any  # Activations, (rows x n_active, width of an expert)
    expert_up: Any  # Floats, the same
    expert_out: Any  # Floats, (rows x n_active, dim)
    last: Floats  # (logit rows, dim): the residual of the rows that want logits, in the last layer
    head_in: Activations  # (logit rows, dim)
    logits: Floats  # (logit rows, vocab_size)
    scratch: Floats  # (threads, scratch floats)


class Batch(NamedTuple):
    """What one pass computes. Written by the scheduler's thread between passes."""

    counts: Ints  # (2,): rows, logit rows
    tokens: Indices  # (rows,)
    positions: Indices  # (rows,)
    slots: Indices  # (rows,): which row of `tables` holds the sequence's cache blocks
    tables: Indices  # (slots, blocks per sequence)
    rows: Indices  # (rows,): 0, 1, 2, ...
    logit_rows: Indices  # (logit rows,): for which rows logits are wanted
    faults: Ints  # (rows,): where a row stopped being finite, see `fault`; 0: nowhere


class Team(NamedTuple):
    """Shared state of the threads of one pass."""

    thread: int  # which of them this is
    n_threads: int
    claims: Ints  # (phases x threads x LINE,): units taken of each thread's share; zeroed before each pass
    finished: Ints  # (phases x LINE,): units that are done; zeroed before each pass
    layer_ticks: Ints  # (n_layers, 5): time per operation group, written by thread 0
    head_ticks: Ints  # (2,): head, whole pass


def fault(layer: int, which: int) -> int:
    """The number of a fault: matrix `which` of `layer` is given NaN or infinity. The head: a layer more.

    ROUTER: the router of the layer's experts gave such numbers itself.
    """
    return layer * (len(MATRICES) + 1) + which + 1


def fault_name(number: int, n_layers: int) -> str:
    """The tensor before which a row stopped being finite."""
    layer, which = divmod(number - 1, len(MATRICES) + 1)
    name = "ffn_gate_inp" if which == ROUTER else MATRICES[which]
    return "the output matrix" if layer == n_layers else f"blk.{layer}.{name}.weight"


def padded(n_cols: int) -> int:
    """`n_cols` in whole blocks of 32 columns."""
    return -(-n_cols // 32) * 32
