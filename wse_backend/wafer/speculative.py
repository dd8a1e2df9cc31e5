"""Speculative decoding: a draft writes a few tokens, the model checks them in one pass.

Of `drafted` tokens, each accepted with probability `acceptance` while all before it were, a pass keeps
(1 - acceptance^(drafted + 1)) / (1 - acceptance) on average, its own next token included (Leviathan, Kalman
and Matias, ICML 2023, arXiv 2211.17192, eq. 1). Modelled: acceptances are independent, which real text is
not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from wse_backend.wafer.checks import real, whole
from wse_backend.wafer.economics import Workload, pipeline_intervals
from wse_backend.wafer.placement import Placement
from wse_backend.wafer.timing.interval import Interval, plus

DRAFTED_LIMIT = 16


@dataclass(frozen=True)
class Speculation:
    """acceptance: chance that a drafted token is kept, 0 to 1. drafted: tokens a pass checks besides its own.

    draft_share: time of one drafted token as a share of one of the model's own steps, 0 to 1.
    Raises InvalidParams (a setting out of range).
    """

    acceptance: float = 0.7
    drafted: int = 4
    draft_share: float = 0.1

    def __post_init__(self) -> None:
        for name in ("acceptance", "draft_share"):
            real(name, getattr(self, name), 0, 1)
        whole("drafted", self.drafted, 0, DRAFTED_LIMIT)

    @property
    def kept(self) -> float:
        """Tokens that one pass yields on average, 1 to drafted + 1."""
        return sum(self.acceptance**n for n in range(self.drafted + 1))


@dataclass(frozen=True)
class Speculated:
    """One user's speed, in seconds per token: without drafts and with them; and what a pass takes then.

    way: how the drafted tokens pass the regions, "one behind another" or "together".
    """

    plain_s: Interval
    drafted_s: Interval
    pass_s: Interval
    way: str

    @property
    def gain(self) -> Interval:
        """How many times as fast drafts make it; below 1 they cost more than they give."""
        return self.plain_s.over(self.drafted_s)


def speculate(placement: Placement, speculation: Speculation, workload: Workload | None = None) -> Speculated:
    """Time a placement with drafts, in the faster of two ways.

    One behind another: each drafted token enters a region as the one before leaves it, so that a pass takes
    one slowest region longer per token. Together: all pass every region at once, which costs arithmetic and
    no distance.
    Raises as `economics.pipeline`.
    """
    workload, drafted = workload or Workload(), speculation.drafted
    plain = pipeline_intervals(placement, replace(workload, batch=1))
    behind = plus(plain.token_s, plain.slowest_s.scaled(drafted))
    together = pipeline_intervals(placement, replace(workload, batch=drafted + 1)).token_s
    way = "one behind another" if behind.value <= together.value else "together"
    checking = min(behind, together, key=lambda found: found.value)
    whole = plus(checking, plain.token_s.scaled(speculation.draft_share * drafted))
    return Speculated(plain.token_s, whole.scaled(1 / speculation.kept), whole, way)


def needed_acceptance(
    placement: Placement, tokens_per_s: float, speculation: Speculation, workload: Workload | None = None
) -> float | None:
    """The acceptance at which the model would be as fast as `tokens_per_s`.

    0 where it is that fast without drafts, None where no acceptance is enough. Raises InvalidParams (a speed
    that is none).
    """
    real("tokens_per_s", tokens_per_s, 0, above=True)
    found = speculate(placement, replace(speculation, acceptance=1.0), workload)
    if tokens_per_s * found.plain_s.value <= 1:
        return 0.0
    if tokens_per_s * found.drafted_s.value > 1:
        return None
    low, high = 0.0, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        kept = replace(speculation, acceptance=middle).kept
        low, high = (middle, high) if kept / found.pass_s.value < tokens_per_s else (low, middle)
    return high
