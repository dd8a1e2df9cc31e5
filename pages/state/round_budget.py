"""What a setup would use of a round's budget, known before it runs; no Streamlit."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from grader.competition import RoundBudget, Use
from moa_core import MoAConfig
from moa_core.errors import MoAError
from moa_core.runs.plan import dry_run


@dataclass(frozen=True)
class BudgetCheck:
    """problems: what is over the budget for certain. notes: what may turn out to be.

    uses: (of what, used at most, allowed) for every number that the budget limits.
    """

    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()
    uses: tuple[tuple[str, int, int], ...] = ()


def check_setup(config: MoAConfig, budget: RoundBudget) -> BudgetCheck:
    """Hold a setup against a budget. Raises ConfigError when the setup is none.

    Calls, models and strategy are certain; tokens only at most: an answer may end before its limit.
    """
    try:
        dry = asyncio.run(dry_run(config, ({"role": "user", "content": "x"},)))
    except MoAError as exc:
        return BudgetCheck((str(exc),))
    agents = [call.task.agent for call in dry.calls]
    use = Use(None, len(agents), [agent.model for agent in agents], config.strategy)
    most = sum(agent.max_tokens for agent in agents)
    notes: tuple[str, ...] = ()
    if budget.tokens is not None and most > budget.tokens:
        notes = (f"its answers may have {most:,} tokens where {budget.tokens:,} are allowed",)
    limits = (("calls", len(agents), budget.calls), ("tokens to write", most, budget.tokens))
    uses = tuple((what, used, allowed) for what, used, allowed in limits if allowed is not None)
    return BudgetCheck(tuple(budget.problems(use)), notes, uses)
