"""What a request gives back: pieces while it runs, and the completion with its usage and measured timing."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from wse_backend.errors import WseError

FinishReason = Literal["stop", "length", "cancelled"]
OP_GROUPS = ("norm", "qkv", "attention", "output", "ffn", "head")
"""What a pass spends its time on: the columns of `PhaseMeasure.layers_ms`, then the LM head."""


@dataclass(frozen=True)
class RoutedTokens:
    """Which experts the tokens of a text were given to, and with what share of each layer's answer.

    chosen: uint8 or uint16 (tokens, n_layers, experts per token), largest share first; n_experts where a
    layer was not computed (the last one, for tokens of a prompt whose logits nobody wants). shares: uint8,
    the same shape, in 255ths; there 0. texts: the text of each token. n_prompt: how many of them are the
    prompt's. n_left_out: tokens that were computed too, and dropped to bound the memory: the beginning of a
    long prompt, the end of a long answer. The last token of an answer is never given to the model.
    """

    chosen: npt.NDArray[np.unsignedinteger]
    shares: npt.NDArray[np.uint8]
    n_experts: int
    texts: tuple[str, ...]
    n_prompt: int = 0
    n_left_out: int = 0


@dataclass(frozen=True)
class Usage:
    """Token counts. cached_tokens: how many of prompt_tokens came from the prefix cache."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int


@dataclass
class PhaseMeasure:
    """One phase (prefill or decode) of one request, measured on this machine.

    Sums over the passes this request took part in; a pass is shared with whatever else was in the batch,
    and its whole time counts here: it is what the request had to wait for.
    passes: passes over the weights; tokens: tokens of this request that they brought into the KV cache;
    drafted: tokens computed ahead on a draft (see drafts.py), right or wrong: in decode, tokens -
    passes of them were right; layers_ms: float64 (n_layers, 5), milliseconds per transformer layer, columns
    as `OP_GROUPS` without its last; head_ms: the LM head.
    """

    layers_ms: npt.NDArray[np.float64]
    passes: int = 0
    tokens: int = 0
    seconds: float = 0.0
    head_ms: float = 0.0
    drafted: int = 0

    def add(self, seconds: float, layers_ms: npt.NDArray[np.float64], head_ms: float) -> None:
        """Add one pass; its tokens are counted as they are known to be right."""
        self.passes += 1
        self.seconds += seconds
        self.layers_ms += layers_ms
        self.head_ms += head_ms


@dataclass(frozen=True)
class Timing:
    """Seconds from submission: in the queue, to the first token, in all; and the two phases."""

    queue_s: float
    first_token_s: float | None
    total_s: float
    prefill: PhaseMeasure
    decode: PhaseMeasure


@dataclass(frozen=True)
class Completion:
    """A finished request. text excludes the stop text; token_ids are all tokens that were generated.

    routing: of a model with experts, where the tokens that were computed went; None of any other.
    """

    text: str
    token_ids: list[int]
    finish_reason: FinishReason
    usage: Usage
    timing: Timing = field(compare=False)
    routing: RoutedTokens | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Chunk:
    """A piece of a running request. The last one carries the completion, or the error that ended it."""

    text: str
    token_ids: tuple[int, ...] = ()
    completion: Completion | None = None
    error: WseError | None = None
