"""Propose, critique, refine: candidates are judged and revised in rounds; a summarizer merges the best.

The documented example (8 proposals, 2 rounds, best 2) makes 33 calls: 8 proposals, 8 critiques, 8 revisions,
8 critiques of them, and the summarizer.
"""

from dataclasses import dataclass, replace

from moa_core.config.values import Agent
from moa_core.runs.prompts import Message, with_system
from moa_core.runs.strategy_context import AgentResult, AgentTask, StrategyContext
from moa_core.strategies.base import Option, Strategy, agents_for, judging_agent, option

OPTIONS = {
    "n": Option(8, 1, 64, "proposals"),
    "rounds": Option(2, 1, 10, "rounds of critique"),
    "best": Option(2, 1, 64, "candidates that the summarizer merges"),
}
CRITIQUE = {
    "type": "object",
    "properties": {
        "score": {
            "type": "number",
            "minimum": 0,
            "maximum": 10,
            "description": "the score of the answer above",
        },
        "critique": {"type": "string", "description": "what must be improved in the answer above"},
    },
    "required": ["score", "critique"],
}
PLANNER_PROMPT = "You are an expert. Give a complete and correct answer."
CRITIC_PROMPT = "You are a strict critic. You find mistakes and gaps in answers, and say how to mend them."
CRITIC_TASK = "Judge your answer above: a score from 0 (useless) to 10 (perfect), and what must be improved."
REVISE_TASK = (
    "A critic says about your answer:\n\n{critique}\n\nGive the improved answer, and only the answer."
)


@dataclass(slots=True)
class Proposal:
    """A proposal as it stands, its last score, and what the critic said about it (empty: nothing)."""

    agent: Agent
    text: str
    score: float = -1.0
    critique: str = ""


async def answer(run: StrategyContext) -> str:
    """Propose once; then critique and revise, ending with a critique; merge the best by their last scores."""
    rounds = option(run.config, OPTIONS, "rounds")
    best = option(run.config, OPTIONS, "best")
    planners = agents_for(run.config, "planner", option(run.config, OPTIONS, "n"), PLANNER_PROMPT)
    results = await run.layer([AgentTask(agent, role="planner") for agent in planners], "proposals")
    candidates = [Proposal(o.agent, o.text) for o in results if o.error is None]
    for number in range(1, rounds + 1):
        if number > 1:
            await _revise(run, candidates, f"revisions, round {number}")
        await _criticise(run, candidates, f"critiques, round {number}")
    ranked = sorted(
        candidates, key=lambda candidate: -candidate.score
    )  # stable: the earliest of equals first
    chosen = ranked[:best]
    names = ", ".join(f"{candidate.agent.name} ({_shown(candidate.score)})" for candidate in chosen)
    run.note(f"The summarizer merges the best {len(chosen)} of {len(candidates)} candidates: {names}.")
    return await run.summarize([candidate.text for candidate in chosen])


async def _criticise(run: StrategyContext, candidates: list[Proposal], title: str) -> None:
    """Every candidate gets a verdict; where the critic fails, the score stays and there is no critique."""
    critic = judging_agent(run.config, "critic", CRITIC_PROMPT, CRITIQUE)
    agents = _name_critics(critic, candidates)
    tasks = [
        AgentTask(
            agent, messages=with_system(critic.prompt, _after(run, candidate, CRITIC_TASK)), role="critic"
        )
        for agent, candidate in zip(agents, candidates, strict=True)
    ]
    for candidate, result in zip(candidates, await run.layer(tasks, title), strict=True):
        candidate.critique = ""
        if result.error is None:
            candidate.score = float(result.value["score"])
            candidate.critique = result.value["critique"]


async def _revise(run: StrategyContext, candidates: list[Proposal], title: str) -> None:
    """Every candidate with a critique is revised; where that fails, it stays as it was."""
    criticised = [candidate for candidate in candidates if candidate.critique.strip()]
    if not criticised:
        return
    tasks = []
    for candidate in criticised:
        task = REVISE_TASK.replace("{critique}", candidate.critique, 1)
        messages = with_system(candidate.agent.prompt, _after(run, candidate, task))
        tasks.append(AgentTask(candidate.agent, messages=messages, role="planner"))
    results: list[AgentResult] = await run.layer(tasks, title)
    for candidate, result in zip(criticised, results, strict=True):
        if result.error is None:
            candidate.text = result.text


def _name_critics(critic: Agent, candidates: list[Proposal]) -> list[Agent]:
    """The critic once per candidate, named after whom it judges."""
    return [replace(critic, name=f"{critic.name} of {candidate.agent.name}") for candidate in candidates]


def _after(run: StrategyContext, candidate: Proposal, task: str) -> tuple[Message, ...]:
    """The conversation with the candidate as its answer, and the task that follows."""
    answer = {"role": "assistant", "content": candidate.text}
    return (*run.messages, answer, {"role": "user", "content": task})


def _shown(score: float) -> str:
    return "not judged" if score < 0 else f"score {score:g}"


STRATEGY = Strategy(
    name="propose-critique-refine",
    description="A planner proposes, a critic judges, the planner revises; a summarizer merges the best.",
    answer=answer,
    roles=("planner", "critic"),
    options=OPTIONS,
)
