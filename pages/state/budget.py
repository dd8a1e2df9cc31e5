"""A setup's plan in a few numbers: what it may read, write, take and cost at most; no Streamlit."""

from __future__ import annotations

from dataclasses import dataclass

from moa_core.runs.plan import Plan, PlannedCall
from moa_core.runs.strategy_context import SUMMARIZER


@dataclass(frozen=True)
class Totals:
    """All of a run's calls together, at most. is_exact: every token was counted by its model's tokenizer.

    cost_usd: None where no price is known. fullest: the call that fills most of its model's context, None
    where no context is known. broken: the calls that are known not to fit.
    """

    n_calls: int
    prompt_tokens: int
    answer_tokens: int
    cost_usd: float | None
    is_exact: bool
    fullest: PlannedCall | None
    broken: tuple[PlannedCall, ...]


def totals(plan: Plan) -> Totals:
    """Add the calls of a plan up."""
    known = [call for call in plan.calls if call.n_ctx]
    return Totals(
        len(plan.calls),
        sum(call.prompt_tokens + call.helper_tokens for call in plan.calls),
        sum(call.max_tokens + call.thinking_tokens for call in plan.calls),
        plan.cost_usd,
        all(call.is_exact for call in plan.calls),
        max(known, key=share, default=None),
        tuple(call for call in plan.calls if call.fits is False),
    )


def share(call: PlannedCall) -> float:
    """How much of its model's context a call may take, 1 for all of it."""
    return call.total_tokens / call.n_ctx if call.n_ctx else 0.0


def place(call: PlannedCall) -> str:
    """Whose call it is: "Direct in agent layer 1", "the summarizer"."""
    return "the summarizer" if call.role == SUMMARIZER else f"{call.agent} in agent layer {call.layer}"
