"""What a provider is: it lists models and streams the answer of one call. Nothing else is asked of it.

A provider may have two more things, both optional: `session()` (see `Sessional`), to share connections among
the calls of a run, and `context()` (see `Counting`), to say before a run what will fit.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, fields
from typing import Any, Protocol, runtime_checkable

from moa_core.config.sampling import Sampling
from moa_core.providers.model_info import ModelInfo
from moa_core.runs.prompts import Message

BYTES_PER_TOKEN = 3  # a careful estimate: English needs about 4 bytes per token, code and other scripts fewer
TOKENS_PER_MESSAGE = 8  # role and separators of a chat template, estimated


@dataclass(frozen=True, slots=True)
class CallRequest(Sampling):
    """One call to one model.

    max_tokens: of the answer; thinking_tokens: that may come before it. Where one limit counts both, it is
    their sum. response_schema: the answer must be JSON that fits this JSON Schema.
    """

    model: str
    messages: tuple[Message, ...]
    temperature: float = 0.7
    max_tokens: int = 1024
    thinking_tokens: int = 0
    response_schema: Mapping[str, Any] | None = field(default=None, hash=False)


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Tokens as the provider counted them, and what they cost; None where it did not say."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: float | None = None

    def __add__(self, other: "TokenUsage") -> "TokenUsage":
        """Both together; what only one of them knows counts as it is."""
        pairs = [(getattr(self, f.name), getattr(other, f.name)) for f in fields(self)]
        return TokenUsage(*(b if a is None else a if b is None else a + b for a, b in pairs))


@dataclass(frozen=True, slots=True)
class Finish:
    """How a stream ended. timing, routing: the provider's own objects (see `CallRecord`). raw: plain data it
    sent beside the text.
    """

    reason: str = "stop"
    usage: TokenUsage = field(default_factory=TokenUsage)
    timing: Any = None
    routing: Any = None
    raw: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Wait:
    """Why nothing comes yet, and the expected seconds, if known. attempts: requests sent so far."""

    reason: str
    wait_s: float | None = None
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of a stream: text, thinking, a reason to wait, or (in the last one) how it ended.

    n_tokens: how many tokens the piece is, None where the provider does not say. note: what a reader of the
    answer must know, such as a setting that the server refuses.
    """

    text: str = ""
    reasoning: str = ""
    n_tokens: int | None = None
    wait: Wait | None = None
    finish: Finish | None = None
    note: str = ""


class Provider(Protocol):
    """Something that serves models."""

    @property
    def name(self) -> str:
        """What agents call it."""

    async def models(self) -> list[str]:
        """The models it lists; it may know more. Raises MoAError."""

    def stream(self, request: CallRequest) -> AsyncIterator[Delta]:
        """The answer, piece by piece; the last piece carries `finish`. Closing the iterator cancels the call.

        Raises CallFailed; a stream that ends without `finish` is incomplete.
        """


@dataclass(frozen=True, slots=True)
class Context:
    """How much a model can take, and how its tokens are counted. n_ctx is None when nobody knows.

    is_exact: counted by the model's own tokenizer and chat template, not estimated. info: what the server
    says of the model. takes_effort: whether `reasoning_effort` is the server's business. notes: what the
    model's conversations go through before it is given them, in sentences. check_schema: raises CallFailed
    for a JSON Schema that answers cannot be held to; None: nobody knows before it is tried.
    """

    n_ctx: int | None
    is_exact: bool
    count: Callable[[Sequence[Message]], int]
    info: ModelInfo | None = None
    takes_effort: bool = False
    notes: tuple[str, ...] = ()
    check_schema: Callable[[Mapping[str, Any]], None] | None = None


@runtime_checkable
class Counting(Protocol):
    """A provider that can say what fits."""

    async def context(self, model: str, on_wait: Callable[[Wait], None] | None = None) -> Context:
        """How much `model` can take; on_wait hears why it takes long. Raises CallFailed."""


@runtime_checkable
class Sessional(Protocol):
    """A provider that holds something open for the length of a run."""

    def session(self) -> AbstractAsyncContextManager[object]:
        """Entered before the first call of a run, left after the last."""


def estimate_tokens(messages: Sequence[Message]) -> int:
    """A careful estimate of the tokens of `messages`, for models whose tokenizer is not here."""
    return sum(-(-len(m["content"].encode()) // BYTES_PER_TOKEN) + TOKENS_PER_MESSAGE for m in messages)
