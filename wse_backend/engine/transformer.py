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

from wse_backend.engine.attention_map import attention_weights
from wse_backend.engine.completion import OP_GROUPS
from wse_backend.engine.kernels.activations import record_bytes
from wse_backend.engine.kernels.arguments import (
    LINE,
    Activations,
    Batch,
    Buffers,
    Cache,
    ExpertRows,
    ExpertWeights,
    Matrix,
    Model,
    Team,
    fault_name,
    padded,
)
from wse_backend.engine.kernels.attention import BLOCK_POSITIONS, attention_scratch_floats, compile_attention
from wse_backend.engine.kernels.formats import ROWS
from wse_backend.engine.kernels.forward import compile_forward, n_phases
from wse_backend.engine.kernels.matmul import compile_matmul, matmul_scratch_floats
from wse_backend.engine.kernels.pieces import unit_rows
from wse_backend.engine.kernels.regroup import compile_decode, compile_regroup
from wse_backend.engine.kv_cache import BlockPool
from wse_backend.engine.matrices import (
    Matrices,
    check_sizes,
    embedding_rows,
    is_matrix,
    stored_type,
    vector,
)
from wse_backend.engine.rope import rope_tables
from wse_backend.engine.router_log import RoutedRows, pack
from wse_backend.engine.threads import ThreadTeam
from wse_backend.errors import NotFinite
from wse_backend.weights.catalog import Progress
from wse_backend.weights.gguf_file import GGUFFile
from wse_backend.weights.tensors import (
    MatrixRows,
    expert_matrices,
    layer_matrices,
    model_frequencies,
    widened,
)

MAX_ROWS = 256  # rows of one pass: enough to decode each weight once for many tokens
MAX_LOGIT_ROWS = 32  # rows of one pass whose logits are computed; also the sequences that run at once
ACTIVATIONS = ("silu", "gelu", "clamped")  # in the order of arguments.SILU, GELU, CLAMPED
NO_MATRIX = Matrix(0, 0, 0, 0, 0, 1, 0)
VALUE_BYTES = 2  # the cache keeps values as float16


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


@dataclass(frozen=True)
class PassResult:
    """What one pass computed.

    logits: float32 (rows that want logits, vocab_size), valid until the next pass. broken: for rows that met
    NaN or infinite numbers, by their index, the tensor before which they did; their logits mean nothing.
    routed: the rows' experts, None where the model has none.
    """

    logits: npt.NDArray[np.float32]
    timing: PassTiming
    broken: dict[int, str]
    routed: RoutedRows | None = None


class Kernels:
    """The compiled functions of this process, each compiled (or read from disk) once."""

    matmul = staticmethod(cache(compile_matmul))
    regroup = staticmethod(cache(compile_regroup))
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
        """Raises BrokenGGUF (NaN or infinite weights) and Unsupported (the size of its heads)."""
        check_sizes(gguf)
        hp = gguf.hparams
        self.gguf = gguf
        self.hparams = hp
        self.n_ctx = min(hp.n_ctx, n_blocks * BLOCK_POSITIONS)
        self._team = team
        self._kernels = _compile(gguf, progress)
        self._matrices = Matrices(gguf, self._kernels.matmul, self._kernels.regroup, team.n_threads)
        self._embedding = widened(gguf.tensors["token_embd.weight"])
        self._model = self._bind_model(progress)
        self.pool = BlockPool(n_blocks, block_bytes(gguf))
        self._cache = self._bind_cache()
        self._buffers = self._allocate_buffers(team.n_threads)
        self._batch = self._allocate_batch()
        self._shared = Team(
            thread=0,  # each thread puts its own number here
            n_threads=team.n_threads,
            claims=np.zeros(n_phases(hp.n_layers) * team.n_threads * LINE, np.int64),
            finished=np.zeros(n_phases(hp.n_layers) * LINE, np.int64),
            layer_ticks=np.zeros((hp.n_layers, len(OP_GROUPS) - 1), np.int64),
            head_ticks=np.zeros(2, np.int64),
        )

    def set_table(self, slot: int, blocks: Sequence[int]) -> None:
        """Tell the passes which cache blocks hold the sequence in `slot`."""
        self._batch.tables[slot, : len(blocks)] = blocks

    def run(self, rows: Sequence[Row], n_layers: int | None = None) -> PassResult:
        """Compute `rows` (at most MAX_ROWS) in one pass; earlier positions are in the cache or in `rows`.

        n_layers: stop after so many layers; no logits may be wanted then.
        """
        batch, shared = self._batch, self._shared
        wanted = [index for index, row in enumerate(rows) if row.wants_logits]
        assert 0 < len(rows) <= MAX_ROWS
        assert len(wanted) <= MAX_LOGIT_ROWS
        model = self._model
        if n_layers is not None:
            assert not wanted
            model = model._replace(matrices=model.matrices[:n_layers])
        batch.counts[:] = len(rows), len(wanted)
        for index, row in enumerate(rows):
            batch.tokens[index], batch.positions[index], batch.slots[index] = (
                row.token,
                row.position,
                row.slot,
            )
        batch.logit_rows[: len(wanted)] = wanted
        batch.faults[: len(rows)] = 0
        shared.claims.fill(0)
        shared.finished.fill(0)
        began = perf_counter()
        self._team.run(self._kernels.forward, model, self._cache, self._buffers, batch, shared)
        seconds = perf_counter() - began
        ms_per_tick = seconds * 1e3 / max(1, int(shared.head_ticks[1]))
        timing = PassTiming(
            seconds,
            shared.layer_ticks.astype(np.float64) * ms_per_tick,
            float(shared.head_ticks[0]) * ms_per_tick,
        )
        broken = {
            int(row): fault_name(int(batch.faults[row]), self.hparams.n_layers)
            for row in np.flatnonzero(batch.faults[: len(rows)])
        }
        return PassResult(self._buffers.logits[: len(wanted)], timing, broken, self._routed())

    def _routed(self) -> RoutedRows | None:
        """The experts of the last pass's rows."""
        if not self.hparams.n_experts:
            return None
        routing, (n_rows, n_wanted) = self._buffers.routing, self._batch.counts
        logit_rows = self._batch.logit_rows[:n_wanted]
        chosen, shares = routing.chosen[:, :n_rows], routing.shares[:, :n_rows]
        return pack(chosen, shares, logit_rows, self.hparams.n_experts)

    def attention(self, tokens: Sequence[int], slot: int, layer: int) -> npt.NDArray[np.float32]:
        """How much each token of a text takes of each before it in `layer`: float32 (n_heads, n, n).

        At most MAX_ROWS tokens, in a slot of their own. The pass ends in that layer, whose queries and keys
        it leaves behind.
        """
        rows = [Row(token, position, slot, False) for position, token in enumerate(tokens)]
        result = self.run(rows, layer + 1)
        if result.broken:
            raise NotFinite(self.gguf.path.name, next(iter(result.broken.values())))
        hp = self.hparams
        sinks = self._model.attention_extras[layer, :, 1:].reshape(-1) if hp.architecture.has_sinks else None
        return attention_weights(self._buffers.qkv[: len(rows)], hp, layer, sinks)

    def free(self) -> None:
        """Give the KV cache's memory back; no pass may follow."""
        self.pool.close()

    def _bind_model(self, progress: Progress | None) -> Model:
        hp, gguf = self.hparams, self.gguf
        family, width = hp.architecture, padded(hp.dim)
        places = [layer_matrices(hp, layer) for layer in range(hp.n_layers)]
        head = MatrixRows("token_embd.weight" if hp.is_tied else "output.weight", 0, hp.vocab_size)
        wanted = [place for row in places for place in row if place.name]
        matrices = self._matrices.load([*wanted, *self._expert_places(), head], progress)
        cos, sin, rope_table = self._rope()
        return Model(
            matrices=np.array(
                [[matrices.get(place, NO_MATRIX) for place in row] for row in places], np.int64
            ),
            head=matrices[head],
            embedding=embedding_rows(self._embedding, self._kernels.decode),
            attention_norm=self._vectors("attn_norm.weight", width),
            attention_post_norm=self._vectors(
                "post_attention_norm.weight" if family.norms != "before" else "", width
            ),
            ffn_norm=self._vectors(f"{family.ffn_norm}.weight", width),
            ffn_post_norm=self._vectors("post_ffw_norm.weight", width),
            output_norm=vector(gguf, "output_norm.weight", width),
            q_norm=self._vectors("attn_q_norm.weight"),
            k_norm=self._vectors("attn_k_norm.weight"),
            qkv_bias=self._biases(),
            output_bias=self._vectors("attn_output.bias"),
            no_bias=np.zeros(0, np.float32),
            cos=cos,
            sin=sin,
            rope_table=rope_table,
            windows=np.array(hp.windows, np.int64),
            attention=self._kernels.attention,
            attention_extras=self._attention_extras(),
            activation=ACTIVATIONS.index(family.activation),
            experts=self._experts(matrices) if hp.n_experts else (),
            n_heads=hp.n_heads,
            n_kv_heads=hp.n_kv_heads,
            head_dim=hp.head_dim,
            dim=hp.dim,
            hidden_dim=hp.dense_hidden_dim,
            rms_eps=hp.rms_eps,
            embedding_scale=hp.embedding_scale,
            residual_scale=hp.residual_scale,
            attention_scale=hp.attention_scale,
            logit_scale=hp.logit_scale,
            final_softcap=hp.final_softcap,
            is_rope_interleaved=hp.rope_style == "interleaved",
        )

    def _expert_places(self) -> list[MatrixRows]:
        """Router, gate, up and down of each layer's experts, all experts' rows one after another."""
        hp = self.hparams
        if not hp.n_experts:
            return []
        return [place for layer in range(hp.n_layers) for place in expert_matrices(hp, layer)]

    def _experts(self, matrices: dict[MatrixRows, Matrix]) -> ExpertWeights:
        hp, layers = self.hparams, range(self.hparams.n_layers)
        n, routing = hp.n_experts, hp.architecture.experts
        found = [[matrices[place] for place in expert_matrices(hp, layer)] for layer in layers if n]
        first, strides = [], []
        for row in found:
            n_rows = [m.n_rows // n for m in row[1:]]
            first.append(
                [
                    m._replace(n_rows=rows, unit_rows=unit_rows(rows, self._team.n_threads))
                    for m, rows in zip(row[1:], n_rows, strict=True)
                ]
            )
            strides.append([rows // ROWS * m.group_bytes for m, rows in zip(row[1:], n_rows, strict=True)])
        fields = len(Matrix._fields)

        def biases(name: str) -> npt.NDArray[np.float32]:
            return self._vectors(f"ffn_{name}_exps.bias").reshape(len(layers), max(n, 1), -1)

        return ExpertWeights(
            router=np.array([row[0] for row in found], np.int64).reshape(-1, fields),
            matrices=np.array(first, np.int64).reshape(-1, 3, fields),
            strides=np.array(strides, np.int64).reshape(-1, 3),
            router_bias=self._vectors("ffn_gate_inp.bias"),
            gate_bias=biases("gate"),
            up_bias=biases("up"),
            down_bias=biases("down"),
            shared_gate=self._vectors("ffn_gate_inp_shexp.weight"),
            n_experts=n,
            n_active=hp.n_experts_active,
            sums_to_one=routing is None or routing.sums_to_one,
        )

    def _rope(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        """cos and sin, (tables, n_ctx, rope_dim / 2), and which table turns each layer; -1: none."""
        kinds = [kind for kind in ("global", "local") if kind in self.hparams.rope_kinds]
        tables = [
            rope_tables(self.n_ctx, *model_frequencies(self.hparams, self.gguf.tensors, self.n_ctx, kind))
            for kind in kinds or ["global"]
        ]
        which = [kinds.index(kind) if kind in kinds else -1 for kind in self.hparams.rope_kinds]
        cos, sin = (np.stack(parts) for parts in zip(*tables, strict=True))
        return cos, sin, np.array(which, np.int64)

    def _vectors(self, name: str, n: int = 0) -> npt.NDArray[np.float32]:
        """A norm's weights or a bias of all layers, padded to `n`; (n_layers, 0) where the file has none."""
        layers = range(self.hparams.n_layers)
        if f"blk.0.{name}" not in self.gguf.tensors:
            return np.zeros((len(layers), 0), np.float32)
        return np.stack([vector(self.gguf, f"blk.{layer}.{name}", n) for layer in layers])

    def _attention_extras(self) -> npt.NDArray[np.float32]:
        """Of each layer and KV head: the soft cap of scores, then the sinks of its query heads."""
        hp = self.hparams
        extras = np.zeros((hp.n_layers, hp.n_kv_heads, 1 + hp.n_heads // hp.n_kv_heads), np.float32)
        extras[:, :, 0] = hp.attention_softcap
        if hp.architecture.has_sinks:
            extras[:, :, 1:] = self._vectors("attn_sinks.weight").reshape(hp.n_layers, hp.n_kv_heads, -1)
        return extras

    def _bind_cache(self) -> Cache:
        hp, width = self.hparams, key_bytes(self.gguf)
        return Cache(
            base=self.pool.base_address,
            block_bytes=self.pool.block_bytes,
            layer_bytes=self.pool.block_bytes // hp.n_layers,
            key_bytes=width,
            values_offset=hp.n_kv_heads * hp.head_dim * BLOCK_POSITIONS * width,
        )

    def _biases(self) -> npt.NDArray[np.float32]:
        return np.concatenate([self._vectors(f"attn_{part}.bias") for part in "qkv"], axis=1)

    def _allocate_buffers(self, n_threads: int) -> Buffers:
        hp = self.hparams
        q_dim, kv_dim = hp.n_heads * hp.head_dim, hp.n_kv_heads * hp.head_dim
        scratch = max(
            matmul_scratch_floats(), attention_scratch_floats(hp.n_heads // hp.n_kv_heads, self.n_ctx)
        )
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
            routing=self._allocate_routing() if hp.n_experts else (),
            expert_in=activations(hp.dim, n_positions) if hp.n_experts else (),
            expert_gate=activations(hp.expert_hidden_dim, n_positions) if hp.n_experts else (),
            expert_up=rows(hp.expert_hidden_dim, n_positions) if hp.n_experts else (),
            expert_out=rows(hp.dim, n_positions) if hp.n_experts else (),
            last=rows(hp.dim, MAX_LOGIT_ROWS),
            head_in=activations(hp.dim, MAX_LOGIT_ROWS),
            logits=_aligned_zeros(MAX_LOGIT_ROWS, hp.vocab_size, next(skews)),
            scratch=rows(scratch, n_threads),
        )

    def _allocate_routing(self) -> ExpertRows:
        hp = self.hparams
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

    def _allocate_batch(self) -> Batch:
        blocks = -(-self.n_ctx // BLOCK_POSITIONS) + 1  # attention prefetches one entry ahead
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


@dataclass(frozen=True)
class _Compiled:
    """Functions by ggml type number (addresses, but for `regroup`), and the forward pass."""

    matmul: dict[int, int]
    regroup: dict[int, Any]
    decode: dict[int, int]
    attention: int
    forward: Any


def _compile(gguf: GGUFFile, progress: Progress | None) -> _Compiled:
    """Compile, or read from the disk cache, just the kernels that this model needs."""
    hp = gguf.hparams
    embedding = stored_type(gguf.tensors["token_embd.weight"])
    read_only = set() if hp.is_tied else {"token_embd.weight"}  # looked up, never multiplied by
    types = {stored_type(t) for t in gguf.tensors.values() if is_matrix(t) and t.name not in read_only}
    total = len(types) + 3

    def report(done: int) -> None:
        if progress is not None:
            progress("compile kernels", done, total)

    matmul: dict[int, int] = {}
    regroup: dict[int, Any] = {}
    report(0)
    for done, qtype in enumerate(sorted(types)):
        matmul[qtype] = int(Kernels.matmul(qtype).address)
        regroup[qtype] = Kernels.regroup(qtype)
        report(done + 1)
    decode = {embedding: int(Kernels.decode(embedding).address)}
    report(len(types) + 1)
    options = hp.attention_softcap > 0, hp.architecture.has_sinks
    attention = Kernels.attention(hp.n_heads // hp.n_kv_heads, hp.head_dim, key_bytes(gguf), *options).address
    report(len(types) + 2)
    forward = Kernels.forward(hp.n_experts > 0)
    report(total)
    return _Compiled(matmul, regroup, decode, int(attention), forward)


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
