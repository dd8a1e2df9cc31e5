"""A loaded model: its weights as the kernels want them, its KV cache, and one pass over a batch of rows.

Not thread-safe: the scheduler's thread is its only user.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import numpy.typing as npt

from wse_backend.engine.attention_map import attention_weights
from wse_backend.engine.binding import bind_cache, bind_model, wanted_matrices
from wse_backend.engine.buffers import MAX_LOGIT_ROWS, MAX_ROWS, allocate_batch, allocate_buffers
from wse_backend.engine.compiled import compile_kernels
from wse_backend.engine.completion import OP_GROUPS
from wse_backend.engine.kernels.arguments import LINE, Team, fault_name
from wse_backend.engine.kernels.attention import BLOCK_POSITIONS
from wse_backend.engine.kernels.forward import n_phases
from wse_backend.engine.kv_cache import BlockPool, block_bytes
from wse_backend.engine.matrices import Matrices, check_sizes, embedding_rows
from wse_backend.engine.router_log import RoutedRows, pack
from wse_backend.engine.threads import ThreadTeam
from wse_backend.errors import NotFinite
from wse_backend.weights.catalog import Progress
from wse_backend.weights.gguf_file import GGUFFile
from wse_backend.weights.tensors import widened


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
        kernels = compile_kernels(gguf, progress)
        self._forward = kernels.forward
        self._matrices = Matrices(gguf, kernels.matmul, kernels.regroup, team.n_threads)
        self._embedding = widened(gguf.tensors["token_embd.weight"])
        self._model = bind_model(
            gguf,
            self._matrices.load(wanted_matrices(hp), progress),
            embedding_rows(self._embedding, kernels.decode),
            kernels.attention,
            self.n_ctx,
            team.n_threads,
        )
        self.pool = BlockPool(n_blocks, block_bytes(gguf))
        self._cache = bind_cache(gguf, self.pool)
        self._buffers = allocate_buffers(hp, self.n_ctx, team.n_threads)
        self._batch = allocate_batch(self.n_ctx)
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
        self._team.run(self._forward, model, self._cache, self._buffers, batch, shared)
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
