"""Sampling: what a request may ask for, and the choice of one token from logits."""

import ctypes
import math
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from wse_backend.engine.kernels.choose import LANES, compile_choose
from wse_backend.errors import InvalidParams

_FLOATS, _INTEGERS = ctypes.POINTER(ctypes.c_float), ctypes.POINTER(ctypes.c_int32)

STOP_LIMIT = 16
EFFORTS = ("none", "low", "medium", "high")
STOP_LENGTH_LIMIT = 256


@dataclass(frozen=True)
class SamplingParams:
    """How to choose tokens and when to stop. Checked when built.

    temperature: 0 is greedy, at most 5. top_p: in (0, 1], 1 keeps all. top_k: 0 keeps all. max_tokens: at
    least 1; cut to what the context still holds. stop: up to 16 texts that end the answer and are not part
    of it. seed: any integer from 0 to 2**64 - 1; None draws a new one for each request. json_schema: the text
    of a JSON Schema; the answer is JSON that fits it, by a mask over the tokens (see grammar.py).
    repetition_penalty: 1 to 2; what logits of tokens that the answer already has are divided by (multiplied
    when negative), before all else (Keskar et al. 2019, arXiv 1909.05858); 1 leaves them as they are.
    reasoning_effort: how much to think before the answer, where the model's chat template can say so; one of
    EFFORTS, or None for the template's own.
    Raises InvalidParams (a ValueError).
    """

    temperature: float = 0.7
    top_p: float = 0.95
    top_k: int = 0
    max_tokens: int = 512
    stop: tuple[str, ...] = ()
    seed: int | None = None
    json_schema: str | None = None
    repetition_penalty: float = 1.0
    reasoning_effort: str | None = None

    def __post_init__(self) -> None:
        stop: Any = self.stop  # one text and a list are accepted, as the cloud APIs do
        if isinstance(stop, (str, list)):
            object.__setattr__(self, "stop", (stop,) if isinstance(stop, str) else tuple(stop))
        _require(_is_number(self.temperature) and 0 <= self.temperature <= 5, "temperature", self, "0 to 5")
        _require(_is_number(self.top_p) and 0 < self.top_p <= 1, "top_p", self, "above 0, at most 1")
        _require(
            _is_integer(self.top_k) and 0 <= self.top_k < 1 << 31, "top_k", self, "a whole number from 0"
        )
        _require(
            _is_integer(self.max_tokens) and 1 <= self.max_tokens < 1 << 31,
            "max_tokens",
            self,
            "a whole number from 1",
        )
        _require(
            self.seed is None or (_is_integer(self.seed) and 0 <= self.seed < 1 << 64),
            "seed",
            self,
            "a whole number from 0 to 2**64 - 1, or None",
        )
        penalty = self.repetition_penalty
        _require(_is_number(penalty) and 1 <= penalty <= 2, "repetition_penalty", self, "1 to 2")
        is_effort = self.reasoning_effort is None or self.reasoning_effort in EFFORTS
        _require(is_effort, "reasoning_effort", self, f"{', '.join(EFFORTS)}, or None")
        is_schema = self.json_schema is None or isinstance(self.json_schema, str)
        _require(is_schema, "json_schema", self, "the text of a JSON Schema, or None")
        allowed = f"at most {STOP_LIMIT} non-empty texts of at most {STOP_LENGTH_LIMIT} characters"
        _require(isinstance(self.stop, tuple) and len(self.stop) <= STOP_LIMIT, "stop", self, allowed)
        _require(
            all(isinstance(text, str) and 0 < len(text) <= STOP_LENGTH_LIMIT for text in self.stop),
            "stop",
            self,
            allowed,
        )


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, (int, float, np.floating)) and not isinstance(value, bool) and math.isfinite(value)
    )


def _is_integer(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _require(is_met: bool, field: str, params: SamplingParams, allowed: str) -> None:
    if not is_met:
        raise InvalidParams(field, getattr(params, field), allowed)


class Constraint(Protocol):
    """Which tokens may come next: asked before every choice, told of it after."""

    def restrict(self, logits: npt.NDArray[np.float32]) -> None:
        """Set the logits of forbidden tokens to minus infinity, in place; never of all."""

    def accept(self, token: int) -> None:
        """Go on by the token that was chosen."""


class Sampler:
    """Chooses the tokens of one request; its random numbers come from the request's own seed."""

    def __init__(self, params: SamplingParams, constraint: Constraint | None = None) -> None:
        self._params = params
        self._constraint = constraint
        self._random = np.random.Generator(np.random.PCG64(params.seed))
        self._choose_token = _compiled()
        self._seen: dict[int, None] = {}  # tokens of the answer, where repetition is penalised
        self._scratch: tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]] | None = None

    def choose(self, logits: npt.NDArray[np.float32]) -> int:
        """Return the next token id for `logits`, float32 (vocab_size,); penalty and constraint change them.

        Temperature first, then top-k, then top-p over what is left; equal logits rank by token id.
        Raises FloatingPointError when the logits are no numbers.
        """
        if self._seen:
            self._penalise(logits)
        if self._constraint is not None:
            self._constraint.restrict(logits)
        token = self._choose(logits)
        if self._params.repetition_penalty != 1:
            self._seen[token] = None
        if self._constraint is not None:
            self._constraint.accept(token)
        return token

    def _penalise(self, logits: npt.NDArray[np.float32]) -> None:
        penalty, seen = np.float32(self._params.repetition_penalty), list(self._seen)
        values = logits[seen]
        logits[seen] = np.where(values > 0, values / penalty, values * penalty)

    def _choose(self, logits: npt.NDArray[np.float32]) -> int:
        params = self._params
        if self._scratch is None or len(self._scratch[0]) < logits.size + LANES:
            size = logits.size + LANES
            self._scratch = np.empty(size, np.int32), np.empty(size, np.float32)
        draw = self._random.random() if params.temperature else 0.0
        tokens, weights = self._scratch
        token = self._choose_token(
            logits.ctypes.data_as(_FLOATS), logits.size, params.temperature, params.top_k, params.top_p, draw,
            tokens.ctypes.data_as(_INTEGERS), weights.ctypes.data_as(_FLOATS),
        )  # fmt: skip
        if token < 0:
            raise FloatingPointError("the logits are NaN or infinite")
        return int(token)


@cache
def _compiled() -> Any:
    """The kernel as a C function, compiled or read from the disk at its first use.

    It keeps the GIL: a choice takes a fraction of a millisecond, and with many listeners awake it takes up to
    5 ms to get the GIL back, once for every token.
    """
    found = compile_choose()
    return ctypes.PYFUNCTYPE(found.ctypes.restype, *found.ctypes.argtypes)(found.address)
