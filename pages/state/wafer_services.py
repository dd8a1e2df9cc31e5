"""Published service speeds beside the model's, with an honest reading of each difference; plain data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from wse_backend.wafer.placement import place
from wse_backend.wafer.published import SERVICE_SPEEDS, WAFER_PROVIDER, ServiceSpeed
from wse_backend.wafer.shapes import PRESETS, ModelShape
from wse_backend.wafer.spec import WSE3
from wse_backend.wafer.speculative import Speculation, needed_acceptance, speculate
from wse_backend.wafer.timing.interval import Interval

DRAFTS = Speculation(acceptance=0.7, drafted=4, draft_share=0.1)


@dataclass(frozen=True)
class Compared:
    """A published speed and the model's tokens/s on the fewest WSE-3; None where it has none.

    acceptance: of drafts that would explain the published speed; None where none would.
    """

    speed: ServiceSpeed
    plain: Interval | None = None
    drafted: Interval | None = None
    acceptance: float | None = None

    @property
    def reading(self) -> str:
        """What the difference may mean."""
        found, published = self.plain, self.speed.tokens_per_s
        if found is None and self.speed.provider == WAFER_PROVIDER:
            return "its shape is not known here: no prediction"
        if found is None:
            return "another machine: no prediction"
        if found.low <= published <= found.high:
            return "as the model says"
        if published < found.low:
            return "slower than the bare machine: queue, network and other users are not modelled"
        if self.acceptance is None:
            return "faster than any drafts explain: other programs, precision or layout"
        drafts = "published" if "speculative" in self.speed.how else "would explain it"
        return f"faster: drafts of which {self.acceptance:.0%} are kept ({drafts}), or fewer bits"


def compared() -> tuple[Compared, ...]:
    """Every published speed, in the table's order."""
    return tuple(_compared(speed) for speed in SERVICE_SPEEDS)


@lru_cache(maxsize=len(SERVICE_SPEEDS))  # placing a model takes up to 0.2 s: once in a process
def _compared(speed: ServiceSpeed) -> Compared:
    if speed.provider != WAFER_PROVIDER or not speed.preset:
        return Compared(speed)
    placed = place(PRESETS[speed.preset], WSE3)
    found = speculate(placed, DRAFTS)
    acceptance = needed_acceptance(placed, speed.tokens_per_s, DRAFTS)
    return Compared(speed, found.plain_s.rate, found.drafted_s.rate, acceptance)


def published_for(shape: ModelShape) -> list[ServiceSpeed]:
    """The wafer services' published speeds for a model, or for one with the same layers."""
    return [
        speed
        for speed in SERVICE_SPEEDS
        if speed.provider == WAFER_PROVIDER and speed.preset and _is_alike(PRESETS[speed.preset], shape)
    ]


def _is_alike(one: ModelShape, other: ModelShape) -> bool:
    """Whether two models differ in their weights' values and their context at most."""
    return replace(one, name="", n_ctx=1) == replace(other, name="", n_ctx=1)


def service_rows() -> list[dict[str, Any]]:
    """The dated table, with the reading of each row."""
    return [
        {
            "provider": row.speed.provider,
            "model": row.speed.model,
            "published": row.speed.tokens_per_s,
            "when": row.speed.when,
            "modelled": row.plain.value if row.plain else None,
            "low": row.plain.low if row.plain else None,
            "high": row.plain.high if row.plain else None,
            "drafted": row.drafted.value if row.drafted else None,
            "drafted_low": row.drafted.low if row.drafted else None,
            "drafted_high": row.drafted.high if row.drafted else None,
            "reading": row.reading,
            "how": row.speed.how or "not published",
            "source": row.speed.source,
        }
        for row in compared()
    ]
