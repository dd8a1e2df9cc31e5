"""The frequencies of rotary position embedding (Su et al. 2021, arXiv 2104.09864), with every scaling in use.

A pair i of a head turns by position * frequency[i]; frequency[i] = theta ** (-2i / rope_dim), changed by
  linear    all divided by a factor (Chen et al. 2023, arXiv 2306.15595)
  llama3    each divided by its entry of the file's tensor rope_freqs.weight
  longrope  the same with rope_factors_long.weight or _short.weight (Ding et al. 2024, arXiv 2402.13753)
  yarn      slow pairs divided by a factor, fast ones not, a ramp between (Peng et al. 2023, arXiv 2309.00071)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Context, Decimal

import numpy as np
import numpy.typing as npt

from wse_backend.errors import Unsupported
from wse_backend.weights.sizes import Fields, shown

KINDS = ("none", "linear", "yarn", "longrope")
_DECIMAL = Context(prec=40)


@dataclass(frozen=True)
class RopeScaling:
    """How a header stretches RoPE. original_n_ctx: the context of the first training.

    attention_factor: of cosine and sine; 0: what follows from `kind`. beta_fast, beta_slow: yarn's ramp goes
    from pairs that turn `beta_fast` times within original_n_ctx to those that turn `beta_slow` times.
    """

    kind: str = "none"
    factor: float = 1.0
    original_n_ctx: int = 0
    attention_factor: float = 0.0
    beta_fast: float = 32.0
    beta_slow: float = 1.0


def read_rope_scaling(fields: Fields) -> RopeScaling:
    """The scaling of a header. Raises Unsupported, BrokenGGUF."""
    kind = fields.get("rope.scaling.type")
    linear = fields.real("rope.scale_linear", 0.0, 1e6, default=0.0)  # what old files have
    if kind is None:
        kind = "linear" if linear not in (0.0, 1.0) or fields.has("rope.scaling.factor") else "none"
    if kind not in KINDS:
        raise Unsupported(fields.file, "RoPE scaling", shown(kind), KINDS)
    factor = 1.0
    if kind != "none":
        factor = fields.real("rope.scaling.factor", 1e-6, 1e6, default=linear or 1.0)
    n_ctx = fields.integer("context_length", 1 << 24)
    return RopeScaling(
        kind=str(kind),
        factor=factor,
        original_n_ctx=fields.integer("rope.scaling.original_context_length", 1 << 24, default=n_ctx),
        attention_factor=fields.real("rope.scaling.attn_factor", 0.0, 1e6, default=0.0),
        beta_fast=fields.real("rope.scaling.yarn_beta_fast", 1e-3, 1e6, default=32.0),
        beta_slow=fields.real("rope.scaling.yarn_beta_slow", 1e-3, 1e6, default=1.0),
    )


def rope_frequencies(
    theta: float,
    rope_dim: int,
    scaling: RopeScaling,
    factors: npt.NDArray[np.float32] | None = None,
) -> tuple[npt.NDArray[np.float64], float]:
    """(frequency of each pair, float64 (rope_dim / 2); the factor of cosine and sine).

    factors: what each frequency is divided by, from the file's tensor, where it has one.
    """
    frequencies = _powers(theta, rope_dim)
    if factors is not None:
        frequencies = frequencies / factors.astype(np.float64)
    if scaling.kind == "yarn":
        return _yarn(frequencies, theta, rope_dim, scaling)
    if scaling.kind == "linear":
        frequencies = frequencies / scaling.factor
    return frequencies, scaling.attention_factor or 1.0


def _powers(theta: float, rope_dim: int) -> npt.NDArray[np.float64]:
    """theta**(-2i / rope_dim), the same on every machine: decimal's `ln` and `exp` are correctly rounded."""
    log = _DECIMAL.ln(Decimal(theta))
    shares = (_DECIMAL.divide(Decimal(-i), Decimal(rope_dim)) for i in range(0, rope_dim, 2))
    return np.array([float(_DECIMAL.exp(_DECIMAL.multiply(log, share))) for share in shares])


def _yarn(
    frequencies: npt.NDArray[np.float64], theta: float, rope_dim: int, scaling: RopeScaling
) -> tuple[npt.NDArray[np.float64], float]:
    """Peng et al., sections 3.2 and 3.4: pairs that turn often keep their frequency."""

    def pair_that_turns(times: float) -> float:
        positions = scaling.original_n_ctx / (times * 2 * math.pi)
        return rope_dim * math.log(positions) / (2 * math.log(theta))

    low = max(0.0, math.floor(pair_that_turns(scaling.beta_fast)))
    high = min(rope_dim - 1.0, math.ceil(pair_that_turns(scaling.beta_slow)))
    ramp = np.clip((np.arange(rope_dim // 2) - low) / max(0.001, high - low), 0.0, 1.0)
    mixed = frequencies * (1 - ramp) + frequencies / scaling.factor * ramp
    attention = (scaling.attention_factor or 1.0) * (1.0 + 0.1 * math.log(max(1.0, scaling.factor)))
    return mixed, attention
