"""Which experts tokens are routed to, and where experts lie: traces, drawn or given, and the two placements.

- "spread": every expert is tiled over all PEs of its layer's region. Experts at work take turns; a token
  moves nowhere, and it does not matter which experts it chose.
- "blocks": every expert has a block of the region's PEs of its own. Experts work at once; tokens travel to
  their experts and back (all-to-all over the mesh), and the block with the most tokens decides.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from wse_backend.errors import InvalidParams
from wse_backend.wafer.checks import SEED_LIMIT, TOKENS_LIMIT, real, whole
from wse_backend.wafer.shapes import N_EXPERTS_LIMIT, ModelShape

EXPERT_PLACEMENTS = ("spread", "blocks")
TRACE_TOKENS_LIMIT = 100_000
SKEW_LIMIT = 4.0
DRAWN_LAYERS = 4  # layers of a drawn trace; the others are drawn from the same distribution


@dataclass(frozen=True)
class Routing:
    """How a mixture of experts is laid out and how evenly its tokens fall.

    imbalance: tokens of the busiest expert over the mean of all; 1 is perfectly even.
    Raises InvalidParams (no such placement, an imbalance below 1).
    """

    placement: str = "spread"
    imbalance: float = 1.0

    def __post_init__(self) -> None:
        if self.placement not in EXPERT_PLACEMENTS:
            raise InvalidParams("expert placement", self.placement, ", ".join(EXPERT_PLACEMENTS))
        real("imbalance", self.imbalance, 1)


EVEN = Routing()


@dataclass(frozen=True)
class RouterTrace:
    """The experts that a router chose: int64 (tokens, layers, experts per token), distinct in the last axis.

    layers: of those that have experts. kind: "measured" from an engine, or "drawn".
    """

    experts: npt.NDArray[np.int64] = field(repr=False)
    n_experts: int
    kind: str = "measured"

    def __post_init__(self) -> None:
        shape = self.experts.shape
        whole("experts of the router trace", self.n_experts, 1, N_EXPERTS_LIMIT)
        if self.experts.ndim != 3 or 0 in shape or not np.issubdtype(self.experts.dtype, np.integer):
            kind = f"{self.experts.dtype} of shape {shape}"
            raise InvalidParams("router trace", kind, "whole numbers, tokens x layers x experts per token")
        if shape[0] > TRACE_TOKENS_LIMIT:
            raise InvalidParams("tokens of the router trace", shape[0], f"at most {TRACE_TOKENS_LIMIT:,}")
        low, high = int(self.experts.min()), int(self.experts.max())
        if low < 0 or high >= self.n_experts:
            found = low if low < 0 else high
            raise InvalidParams("expert in the router trace", found, f"0 to {self.n_experts - 1}")
        twice = np.argwhere(np.diff(np.sort(self.experts, axis=2), axis=2) == 0)
        if len(twice):
            token, layer = twice[0, :2]
            repeated = f"{self.experts[token, layer].tolist()} for token {token} in layer {layer}"
            raise InvalidParams("experts in the router trace", repeated, "each at most once for a token")

    @classmethod
    def drawn(cls, model: ModelShape, tokens: int, skew: float = 0.0, seed: int = 0) -> RouterTrace:
        """Draw a trace: expert r of a layer's random order has popularity (r + 1) ** -skew; 0 is even.

        Experts of a token are drawn without replacement (Gumbel top-k). Raises InvalidParams (no experts,
        tokens or skew out of range).
        """
        if not model.n_experts:
            raise InvalidParams("model", model.name, "a mixture of experts")
        whole("tokens of the router trace", tokens, 1, TRACE_TOKENS_LIMIT)
        real("skew", skew, 0, SKEW_LIMIT)
        rng = np.random.default_rng(whole("seed", seed, 0, SEED_LIMIT))
        ranks = np.argsort(rng.random((DRAWN_LAYERS, model.n_experts)), axis=1)
        logits = -skew * np.log(ranks + 1.0)
        keys = logits + rng.gumbel(size=(tokens, DRAWN_LAYERS, model.n_experts))
        chosen = np.argpartition(-keys, model.n_experts_active - 1, axis=2)[:, :, : model.n_experts_active]
        return cls(chosen.astype(np.int64), model.n_experts, "drawn")

    @classmethod
    def parse(cls, text: str | bytes, model: ModelShape) -> RouterTrace:
        """Read a trace from JSON: a list per token of a list per layer with experts of expert numbers.

        Raises InvalidParams (no such list, or not this model's: layers, experts per token, numbers).
        """
        allowed = "JSON: for each token, for each layer with experts, the numbers of the chosen experts"
        try:
            found = np.array(json.loads(text))
        except (ValueError, RecursionError) as exc:
            raise InvalidParams("router trace", str(exc), allowed) from exc
        if found.ndim != 3 or not np.issubdtype(found.dtype, np.integer):
            raise InvalidParams("router trace", f"{found.dtype} of shape {found.shape}", allowed)
        trace = cls(found.astype(np.int64), max(model.n_experts, 1))
        trace.check(model)
        return trace

    def check(self, model: ModelShape) -> None:
        """Raise InvalidParams when this trace is not one of `model`, with both numbers."""
        if not model.n_experts:
            raise InvalidParams("model", model.name, "a mixture of experts")
        layers = sum(n for kind, n in model.kinds if kind.n_experts)
        _, found_layers, per_token = self.experts.shape
        if self.kind != "drawn" and found_layers != layers:
            raise InvalidParams("layers of the router trace", found_layers, f"{layers} of {model.name}")
        if per_token != model.n_experts_active:
            allowed = f"{model.n_experts_active} of {model.name}"
            raise InvalidParams("experts per token of the router trace", per_token, allowed)
        if self.n_experts != model.n_experts:
            allowed = f"{model.n_experts} of {model.name}"
            raise InvalidParams("experts of the router trace", self.n_experts, allowed)

    def loads(self, layer: int) -> npt.NDArray[np.int64]:
        """Tokens that each expert of the trace's layer number `layer` got, (n_experts,)."""
        return np.bincount(self.experts[:, layer].ravel(), minlength=self.n_experts)

    def imbalance(self, tokens: int) -> float:
        """Busiest expert over the mean, for `tokens` tokens at once; mean over layers and stretches.

        A trace that is shorter than `tokens` is taken whole.
        """
        total, layers, per_token = self.experts.shape
        tokens = whole("tokens", tokens, 1, TOKENS_LIMIT)
        window = max(1, min(tokens, total))
        n_windows = total // window
        mean = window * per_token / self.n_experts
        chunks: Sequence[npt.NDArray[np.int64]] = np.split(self.experts[: n_windows * window], n_windows)
        busiest = [
            int(np.bincount(chunk[:, layer].ravel()).max())
            for chunk in chunks[:64]
            for layer in range(layers)
        ]
        return max(1.0, float(np.mean(busiest) / mean))
