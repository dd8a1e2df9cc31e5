"""What of a run the wafer is timed for: how long its calls grew, how much of them was cached; plain data."""

from __future__ import annotations

from moa_core.runs.trace import CallRecord
from pages.state.measured import PhaseTotal


def longest_call(records: tuple[CallRecord, ...], model: str) -> int:
    """Tokens that the longest call of a model left in its cache."""
    return max(
        ((r.prompt_tokens or 0) + (r.completion_tokens or 0) for r in records if r.model == model), default=1
    )


def tokens_of(records: tuple[CallRecord, ...], total: PhaseTotal) -> int:
    """What to model a phase for: the mean chunk of a prompt, or the mean context of written tokens."""
    if total.phase == "prefill":
        return max(1, round(total.tokens_per_pass))
    calls = [r for r in records if r.model == total.model and r.prompt_tokens and r.completion_tokens]
    written = sum(r.completion_tokens or 0 for r in calls)
    context = sum(
        (r.completion_tokens or 0) * ((r.prompt_tokens or 0) + (r.completion_tokens or 0) / 2) for r in calls
    )
    return max(1, round(context / written)) if written else 1
