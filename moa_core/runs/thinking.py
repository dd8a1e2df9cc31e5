"""How much a model may think: the effort an agent sets, in tokens beside those of its answer.

An agent's `max_tokens` is what it may answer. Servers count thinking into the same limit, so they get a
larger one. Services also take the whole limit out of the minute's allowance before they begin
(inference-docs.cerebras.ai/support/rate-limits, 2026), so the budgets are no larger than they must be.
"""

from moa_core.config.values import Agent
from moa_core.providers.base import Context

BUDGETS = {"none": 0, "low": 512, "medium": 2048, "high": 8192}
USUAL_EFFORT = "medium"  # what reasoning models do when nobody sets it
LOWER_EFFORT = {"high": "low", "medium": "low", "low": "none"}


def thinking_tokens(agent: Agent, context: Context | None) -> int:
    """Tokens that the agent may think beside its answer, for the request and for the plan."""
    reasons = context.info.reasons if context is not None and context.info is not None else None
    if reasons is False:
        return 0  # more room would only let it answer longer than it may
    if agent.thinking_budget is not None:
        return agent.thinking_budget
    if agent.reasoning_effort is not None:
        return BUDGETS[agent.reasoning_effort]
    return BUDGETS[USUAL_EFFORT] if reasons else 0


def enforced_budget(agent: Agent, context: Context | None) -> int | None:
    """Tokens of thinking after which the stream is cut off, None for never.

    A server that takes the effort keeps to it by itself; in this process the effort is this budget.
    """
    if agent.thinking_budget is not None or agent.reasoning_effort is None:
        return agent.thinking_budget
    takes_effort = context is not None and context.takes_effort
    return None if takes_effort else BUDGETS[agent.reasoning_effort]


def lowered(agent: Agent) -> str:
    """The effort to ask with once more when everything went into thinking."""
    return LOWER_EFFORT.get(agent.reasoning_effort or USUAL_EFFORT, "none")
