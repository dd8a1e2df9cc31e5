"""A request on its way through the scheduler: what it asked for, what it has, what it was measured."""

import threading
from collections.abc import Callable, Sequence
from time import perf_counter

import numpy as np

from wse_backend.engine.completion import Chunk, Completion, FinishReason, PhaseMeasure, Timing, Usage
from wse_backend.engine.drafts import PromptLookup
from wse_backend.engine.grammar import Grammar
from wse_backend.engine.kernels.attention import BLOCK_POSITIONS
from wse_backend.engine.router_log import RouterLog
from wse_backend.engine.sampling import Sampler, SamplingParams
from wse_backend.engine.stop_text import StopFilter
from wse_backend.weights.tokenizer import StreamDecoder

OnChunk = Callable[[Chunk], None]


class Request:
    """One request on its way: prompt, cache blocks, tokens so far. Touched by the scheduler's thread only."""

    def __init__(
        self,
        prompt: list[int],
        params: SamplingParams,
        n_new: int,
        decoder: StreamDecoder,
        on_chunk: OnChunk,
        owner: str,
        n_layers: int,
        grammar: Grammar | None = None,
        router_log: RouterLog | None = None,
    ) -> None:
        self.tokens = list(prompt)
        self.n_prompt = len(prompt)
        self.n_new = n_new
        self.sampler = Sampler(params, grammar)
        self.grammar = grammar
        self.stop_filter = StopFilter(params.stop)
        self.decoder = decoder
        self.on_chunk = on_chunk
        self.owner = owner
        self.is_cancelled = threading.Event()
        self.blocks: list[int] = []
        self.n_computed = 0  # positions in the cache
        self.n_cached = 0  # of these, taken from the prefix cache
        self.n_published = 0  # whole blocks that others can find
        self.slot = -1
        self.text: list[str] = []
        self.unsaid_text, self.unsaid_tokens = "", list[int]()  # what the listener has not been told yet
        self.said_at = 0.0
        self.submitted_at = perf_counter()
        self.admitted_at: float | None = None
        self.first_token_at: float | None = None
        self.prefill = PhaseMeasure(np.zeros((n_layers, 5)))
        self.decode = PhaseMeasure(np.zeros((n_layers, 5)))
        self.lookup = PromptLookup(self.tokens)
        self.router_log = router_log

    @property
    def blocks_needed(self) -> int:
        """Cache blocks this request takes at most."""
        return -(-(self.n_prompt + self.n_new) // BLOCK_POSITIONS)

    @property
    def is_prefilling(self) -> bool:
        return self.n_computed < self.n_prompt

    @property
    def n_left(self) -> int:
        """How many new tokens it may still get."""
        return self.n_prompt + self.n_new - len(self.tokens)

    def completion(self, reason: FinishReason) -> Completion:
        """The finished request, as the caller gets it."""
        now = perf_counter()
        new_tokens = self.tokens[self.n_prompt :]
        admitted = self.admitted_at if self.admitted_at is not None else now
        first = self.first_token_at - self.submitted_at if self.first_token_at is not None else None
        log = self.router_log
        return Completion(
            text="".join(self.text),
            token_ids=new_tokens,
            finish_reason=reason,
            usage=Usage(self.n_prompt, len(new_tokens), self.n_cached),
            timing=Timing(
                admitted - self.submitted_at, first, now - self.submitted_at, self.prefill, self.decode
            ),
            routing=None if log is None else log.taken(self.tokens, self.n_cached, self.n_computed),
        )


def shares_next_block(request: Request, other: Request) -> bool:
    """Whether `other`, being prefilled, will publish a block that `request` begins with and lacks."""
    common = _common_prefix(request.tokens, other.tokens[: other.n_prompt])
    return min(common, request.n_prompt - 1) // BLOCK_POSITIONS > other.n_computed // BLOCK_POSITIONS


def _common_prefix(left: Sequence[int], right: Sequence[int]) -> int:
    for index, (a, b) in enumerate(zip(left, right, strict=False)):
        if a != b:
            return index
    return min(len(left), len(right))
