"""What a run cost on this machine, added up from the trace; plain arithmetic, knows nothing of Streamlit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from moa_core.runs.trace import CallRecord

PHASES = ("prefill", "decode")
Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class PhaseTotal:
    """One phase of all in-process calls of one model in a run, summed over the passes that each took part in.

    layers_ms: float64 (n_layers, 5), columns as in wse_backend.OP_GROUPS. A pass that several calls shared
    counts once for each of them, in `passes` and in `layers_ms` alike, so a mean per pass is right; a sum is
    not the time that went by.
    """

    model: str
    phase: str
    calls: int
    passes: int
    tokens: int
    layers_ms: np.ndarray
    head_ms: float

    @property
    def layers_ms_per_pass(self) -> np.ndarray:
        """Mean milliseconds per pass, (n_layers, 5)."""
        return self.layers_ms / max(self.passes, 1)

    @property
    def head_ms_per_pass(self) -> float:
        """Mean milliseconds of the LM head per pass."""
        return self.head_ms / max(self.passes, 1)

    @property
    def pass_ms(self) -> float:
        """Mean milliseconds of a whole pass: all layers and the head."""
        return float(self.layers_ms_per_pass.sum()) + self.head_ms_per_pass

    @property
    def tokens_per_pass(self) -> float:
        """Mean tokens of one call in one pass: the chunk of a prompt; in decode 1, or more by drafts."""
        return self.tokens / max(self.passes, 1)

    @property
    def tokens_written(self) -> str:
        """How many tokens a decode pass writes for a busy agent, in words."""
        return "a token" if self.tokens_per_pass < 1.05 else f"{self.tokens_per_pass:.1f} tokens on average"


def measured_models(records: Iterable[CallRecord]) -> list[str]:
    """Models whose calls carry per-layer times, in order of their first call."""
    return list(dict.fromkeys(record.model for record in records if _has_layers(record)))


def phase_total(records: Iterable[CallRecord], model: str, phase: str) -> PhaseTotal | None:
    """One phase of the model's calls, or None when no call of it ran a pass."""
    measures = [getattr(r.timing, phase) for r in records if r.model == model and _has_layers(r)]
    measures = [measure for measure in measures if measure.passes > 0]
    if not measures:
        return None
    return PhaseTotal(
        model=model,
        phase=phase,
        calls=len(measures),
        passes=sum(measure.passes for measure in measures),
        tokens=sum(measure.tokens for measure in measures),
        layers_ms=np.sum([measure.layers_ms for measure in measures], axis=0),
        head_ms=float(sum(measure.head_ms for measure in measures)),
    )


def call_rows(records: Sequence[CallRecord]) -> list[dict[str, Any]]:
    """One row per call for a table: who, when, how long, how many tokens, how fast."""
    rows = []
    for record in records:
        total_s = record.end_s - record.start_s
        first_s = None if record.first_token_s is None else record.first_token_s - record.start_s
        writing_s = None if first_s is None else total_s - first_s
        tokens = record.completion_tokens
        # The first token ends the wait; the others are what the writing time was spent on.
        rate = (tokens - 1) / writing_s if tokens and tokens > 1 and writing_s else None
        rows.append(
            {
                "layer": "Summarizer" if record.role == "summarizer" else f"Layer {record.layer}",
                "agent": record.agent,
                "model": record.model,
                "prompt_tokens": record.prompt_tokens,
                "cached_tokens": record.cached_tokens,
                "completion_tokens": tokens,
                "reasoning_tokens": record.reasoning_tokens,
                "start_s": record.start_s,
                "first_token_s": first_s,
                "total_s": total_s,
                "tokens_per_s": rate,
                "queue_s": record.queue_s,
                "cost_usd": record.cost_usd,
                "problem": record.error or "",
            }
        )
    return rows


@dataclass(frozen=True)
class RunTotals:
    """A run in a few numbers; None where the providers did not say."""

    total_s: float
    n_calls: int
    completion_tokens: int | None
    prompt_tokens: int | None
    answer_after_s: float | None
    cost_usd: float | None = None


def run_totals(records: Sequence[CallRecord], total_s: float) -> RunTotals:
    """Totals of a run; `answer_after_s` is when the summarizer's first token came."""
    final = [r for r in records if r.role == "summarizer" and r.first_token_s is not None]
    return RunTotals(
        total_s=total_s,
        n_calls=len(records),
        completion_tokens=_sum(r.completion_tokens for r in records),
        prompt_tokens=_sum(r.prompt_tokens for r in records),
        answer_after_s=final[-1].first_token_s if final else None,
        cost_usd=_sum(r.cost_usd for r in records),
    )


def _sum(values: Iterable[Number | None]) -> Number | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _has_layers(record: CallRecord) -> bool:
    return getattr(getattr(record.timing, "decode", None), "layers_ms", None) is not None
