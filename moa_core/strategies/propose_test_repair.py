"""Propose, test, repair: answers are tried on known cases, and go back to their agents with what failed.

The caller of the run hands in what tries them (`run(..., checker=...)`), e.g. a challenge's public cases in
the sandbox. Chen et al. 2023, "Teaching Large Language Models to Self-Debug", arXiv 2304.05128, with several
candidates at once.
"""

from dataclasses import dataclass

from moa_core.errors import LayerFailed
from moa_core.runs.strategy_context import AgentResult, AgentTask, Checked, StrategyContext
from moa_core.strategies.base import Option, Strategy, agents_for, option

OPTIONS = {
    "n": Option(4, 1, 64, "candidates"),
    "rounds": Option(2, 0, 10, "rounds of repair"),
    "repaired": Option(64, 1, 64, "candidates repaired in a round, the best first"),
}
CODER_PROMPT = "You are an expert Python programmer. Write correct and complete code."
REPAIR_TASK = (
    "Your code was run. It fails:\n\n{feedback}\n\n"
    "Keep the rest, mend this, and give the complete code again in one code block."
)


@dataclass(slots=True)
class TriedAnswer:
    """An answer as it stands, and what trying it came to."""

    result: AgentResult
    checked: Checked


async def answer(run: StrategyContext) -> str:
    """The candidate that passes the most cases, the earliest of equals; repairs stop when one passes all."""
    rounds, repaired = (option(run.config, OPTIONS, name) for name in ("rounds", "repaired"))
    coders = agents_for(run.config, "coder", option(run.config, OPTIONS, "n"), CODER_PROMPT)
    results = await run.layer([AgentTask(agent, role="coder") for agent in coders], "proposals")
    answers = [result for result in results if result.error is None]
    checks = await run.check(answers)
    candidates = [TriedAnswer(*pair) for pair in zip(answers, checks, strict=True)]
    for number in range(1, rounds + 1):
        failing = [candidate for candidate in candidates if not candidate.checked.problem]
        if not failing or any(candidate.checked.share >= 1.0 for candidate in candidates):
            break
        failing.sort(key=lambda candidate: candidate.checked.share, reverse=True)
        try:
            await _repair(run, failing[:repaired], f"repairs, round {number}")
        except LayerFailed:
            run.note(f"No repair came in round {number}, so the candidates stay as they were.")
            break
    best = max(candidates, key=lambda candidate: candidate.checked.share)  # max keeps the first of equals
    run.note(_verdict(best, candidates))
    run.publish(best.result.text)
    return best.result.text


async def _repair(run: StrategyContext, failing: list[TriedAnswer], title: str) -> None:
    """Every failing candidate is repaired by its own agent; a repair that passes fewer cases is dropped."""
    tasks = []
    for candidate in failing:
        agent = candidate.result.agent
        task = REPAIR_TASK.replace("{feedback}", candidate.checked.feedback, 1)
        asked = AgentTask(agent).filled(run.config, run.messages)  # the conversation goes on where it was
        answer = {"role": "assistant", "content": candidate.result.text}
        messages = (*asked, answer, {"role": "user", "content": task})
        tasks.append(AgentTask(agent, messages=messages, role="coder"))
    results = await run.layer(tasks, title)
    repaired = [pair for pair in zip(failing, results, strict=True) if pair[1].error is None]
    checks = await run.check([result for _, result in repaired])
    for (candidate, result), checked in zip(repaired, checks, strict=True):
        if checked.share >= candidate.checked.share and not checked.problem:
            candidate.result, candidate.checked = result, checked


def _verdict(best: TriedAnswer, candidates: list[TriedAnswer]) -> str:
    if all(candidate.checked.problem for candidate in candidates):
        return f"No answer could be tried ({best.checked.problem}), so the first one is the answer."
    return (
        f"{best.result.agent.name} was chosen of {len(candidates)} candidates: it passes "
        f"{best.checked.share:.0%} of the cases it was tried on."
    )


STRATEGY = Strategy(
    name="propose-test-repair",
    description="Answers are tried on known cases; failures go back to their agent; the best is the answer.",
    answer=answer,
    roles=("coder",),
    options=OPTIONS,
    needs_checker=True,
)
