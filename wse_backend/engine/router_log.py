"""What the routers of a model with experts chose, kept for each request while its passes go by.

A pass leaves each row's experts and shares in its buffers anyway; they are copied out as bytes. Rows of
drafts that turn out wrong are overwritten when their positions are computed again, or cut off at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from wse_backend.engine.completion import RoutedTokens
from wse_backend.weights.hparams import HParams
from wse_backend.weights.tokenizer import Tokenizer

LOG_BYTES = 512 << 10  # of one request: about 680 tokens of Qwen3-30B-A3B, 4,000 of Mixtral
SHARE_STEPS = 255


class RoutedRows(NamedTuple):
    """The experts of one pass's rows, as in `RoutedTokens`: both (rows, n_layers, experts per token)."""

    chosen: npt.NDArray[np.unsignedinteger]
    shares: npt.NDArray[np.uint8]


def expert_type(n_experts: int) -> type[np.uint8] | type[np.uint16]:
    """The smallest type for the numbers 0 to n_experts, which itself means that nobody was asked."""
    return np.uint8 if n_experts <= np.iinfo(np.uint8).max else np.uint16


def pack(
    chosen: npt.NDArray[np.int32],
    shares: npt.NDArray[np.float32],
    logit_rows: npt.NDArray[np.int32],
    n_experts: int,
) -> RoutedRows:
    """Rows of a pass, copied from its buffers of (n_layers, rows, experts per token).

    The last layer's buffers begin with the rows whose logits were wanted, `logit_rows`; it has no others.
    """
    packed: npt.NDArray[np.unsignedinteger] = chosen.transpose(1, 0, 2).astype(expert_type(n_experts))
    steps = np.rint(shares.transpose(1, 0, 2) * np.float32(SHARE_STEPS)).astype(np.uint8)
    packed[:, -1], steps[:, -1] = n_experts, 0
    packed[logit_rows, -1] = chosen[-1, : len(logit_rows)]
    steps[logit_rows, -1] = np.rint(shares[-1, : len(logit_rows)] * np.float32(SHARE_STEPS))
    return RoutedRows(packed, steps)


class RouterLog:
    """The experts of one request's positions, as many as LOG_BYTES hold: the answer's before the prompt's."""

    def __init__(self, hp: HParams, n_prompt: int, n_new: int, tokenizer: Tokenizer) -> None:
        self._n_experts, self._n_prompt, self._tokenizer = hp.n_experts, n_prompt, tokenizer
        self._row = (hp.n_layers, hp.n_experts_active)
        kind = expert_type(hp.n_experts)
        room = max(1, LOG_BYTES // (hp.n_layers * hp.n_experts_active * (np.dtype(kind).itemsize + 1)))
        n_answer = min(n_new, room)
        self._first = n_prompt - min(n_prompt, room - n_answer)
        self._stop = n_prompt + n_answer
        self._chosen = np.empty((0, *self._row), kind)  # until a pass has begun
        self._shares = np.empty((0, *self._row), np.uint8)

    def put(self, position: int, rows: RoutedRows) -> None:
        """Note the rows of consecutive positions from `position` on."""
        if not len(self._chosen):
            shape = (self._stop - self._first, *self._row)
            self._chosen = np.full(shape, self._n_experts, self._chosen.dtype)
            self._shares = np.zeros(shape, np.uint8)
        start, stop = max(position, self._first), min(position + len(rows.chosen), self._stop)
        if start < stop:
            here = slice(start - self._first, stop - self._first)
            there = slice(start - position, stop - position)
            self._chosen[here], self._shares[here] = rows.chosen[there], rows.shares[there]

    def taken(self, tokens: Sequence[int], n_cached: int, n_computed: int) -> RoutedTokens:
        """What is kept of the positions n_cached to n_computed of `tokens`."""
        start, stop = max(n_cached, self._first), min(n_computed, self._stop)
        stop = max(start, stop)
        kept = slice(start - self._first, stop - self._first)
        texts = (self._tokenizer.token_bytes(token) for token in tokens[start:stop])
        return RoutedTokens(
            self._chosen[kept].copy(),
            self._shares[kept].copy(),
            self._n_experts,
            tuple(text.decode("utf-8", "replace") for text in texts),
            n_prompt=max(0, min(stop, self._n_prompt) - start),
            n_left_out=max(0, n_computed - n_cached) - (stop - start),
        )
