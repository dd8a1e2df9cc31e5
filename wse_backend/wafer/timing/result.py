"""What the timing model answers with: seconds per operation, layer and phase, each split by cause."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

CAUSES = ("compute", "hops", "routing", "overhead")
GROUPS = (
    "norm",
    "qkv",
    "attention",
    "output",
    "ffn",
)  # of one transformer layer, as the engine measures them


@dataclass(frozen=True)
class OpTiming:
    """Seconds of one operation, by cause: arithmetic, distance, routing stages, fixed overhead."""

    name: str
    group: str
    compute_s: float
    hops_s: float
    routing_s: float
    overhead_s: float

    @property
    def seconds(self) -> float:
        """All causes together; they follow one another on the critical PE."""
        return self.compute_s + self.hops_s + self.routing_s + self.overhead_s

    @property
    def causes(self) -> dict[str, float]:
        """Seconds by cause, in the order of CAUSES."""
        return dict(zip(CAUSES, (self.compute_s, self.hops_s, self.routing_s, self.overhead_s), strict=True))


@dataclass(frozen=True)
class LayerTiming:
    """One transformer layer, its operations in the order in which they run."""

    index: int
    ops: tuple[OpTiming, ...]

    @cached_property
    def seconds(self) -> float:
        return sum(op.seconds for op in self.ops)

    @property
    def causes(self) -> dict[str, float]:
        """Seconds by cause."""
        return sum_causes(self.ops)

    @property
    def groups(self) -> dict[str, float]:
        """Seconds by operation group, as the in-process engine measures them (GROUPS)."""
        found: dict[str, float] = {}
        for op in self.ops:
            found[op.group] = found.get(op.group, 0.0) + op.seconds
        return found


@dataclass(frozen=True)
class PhaseTiming:
    """A modelled run of one phase on one wafer.

    phase: "decode" (one step), "prefill", "gemv" or "generate". grid: columns and rows; of the decode phase
    for "generate". tokens: what tokens_per_second counts. extra: what no layer owns (LM head, re-placement).
    parts: the phases that "generate" consists of.
    """

    phase: str
    model: str
    spec: str
    grid: tuple[int, int]
    tokens: int
    layers: tuple[LayerTiming, ...]
    extra: tuple[OpTiming, ...] = ()
    parts: tuple[PhaseTiming, ...] = ()
    kind: str = "modelled"

    @cached_property
    def seconds(self) -> float:
        """Wall-clock seconds of the whole phase (decode: of one step)."""
        return sum(layer.seconds for layer in self.layers) + sum(op.seconds for op in self.extra)

    @property
    def tokens_per_second(self) -> float:
        """Tokens per second of one request: of the prompt in prefill, else of output."""
        return self.tokens / self.seconds

    @property
    def causes(self) -> dict[str, float]:
        """Seconds by cause over all layers and extras."""
        return sum_causes([*(op for layer in self.layers for op in layer.ops), *self.extra])


def sum_causes(ops: Iterable[OpTiming]) -> dict[str, float]:
    """Seconds by cause over several operations."""
    totals = dict.fromkeys(CAUSES, 0.0)
    for op in ops:
        for cause, seconds in op.causes.items():
            totals[cause] += seconds
    return totals
