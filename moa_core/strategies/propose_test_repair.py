"""Propose, test, repair: answers are tried on known cases, and go back to their agents with what failed.

The caller of the run hands in what tries them (`run(..., checker=...)`), e.g. a challenge's public cases in
the sandbox. Chen et al. 2023, "Teaching Large Language Models to Self-Debug", arXiv 2304.05128, with several
candidates at once.
"""

from dataclasses import dataclass

from moa_core.errors import LayerFailed
from moa_core.runs.prompts import with_system
from moa_core.runs.strategy_context import Checked, Outcome, Part, Stage
from moa_core.strategies.base import Option, Strategy, cast, option

OPTIONS = {
    "n": Option(4, 1, 64, "candidates"),
    "rounds": Option(2, 0, 10, "rounds of repair"),
}
CODER_PROMPT = "You are an expert Python programmer. Write correct and complete code."
REPAIR_TASK = (
    "Your code was run. It fails:\n\n{feedback}\n\n"
    "Find the mistake and give the corrected, complete code again."
)


@dataclass(slots=True)
class Candidate:
    """An answer as it stands, and what trying it came to."""

    outcome: Outcome
    checked: Checked


async def play(moa: Stage) -> str:
    """The candidate that passes the most cases, the earliest of equals; repairs stop when one passes all."""
    rounds = option(moa.config, OPTIONS, "rounds")
    coders = cast(moa.config, "coder", option(moa.config, OPTIONS, "n"), CODER_PROMPT)
    outcomes = await moa.layer([Part(agent, role="coder") for agent in coders], "proposals")
    answers = [outcome for outcome in outcomes if outcome.error is None]
    checks = await moa.check(answers)
    candidates = [Candidate(*pair) for pair in zip(answers, checks, strict=True)]
    for number in range(1, rounds + 1):
        failing = [candidate for candidate in candidates if not candidate.checked.problem]
        if not failing or any(candidate.checked.share >= 1.0 for candidate in candidates):
            break
        try:
            await _repair(moa, failing, f"repairs, round {number}")
        except LayerFailed:
            moa.note(f"No repair came in round {number}, so the candidates stay as they were.")
            break
    best = max(candidates, key=lambda candidate: candidate.checked.share)  # max keeps the first of equals
    moa.note(_verdict(best, candidates))
    moa.publish(best.outcome.text)
    return best.outcome.text


async def _repair(moa: Stage, failing: list[Candidate], title: str) -> None:
    """Every failing candidate is repaired by its own agent; a repair that passes fewer cases is dropped."""
    parts = []
    for candidate in failing:
        agent = candidate.outcome.agent
        task = REPAIR_TASK.replace("{feedback}", candidate.checked.feedback, 1)
        answer = {"role": "assistant", "content": candidate.outcome.text}
        messages = with_system(agent.prompt, (*moa.messages, answer, {"role": "user", "content": task}))
        parts.append(Part(agent, messages=messages, role="coder"))
    outcomes = await moa.layer(parts, title)
    repaired = [pair for pair in zip(failing, outcomes, strict=True) if pair[1].error is None]
    checks = await moa.check([outcome for _, outcome in repaired])
    for (candidate, outcome), checked in zip(repaired, checks, strict=True):
        if checked.share >= candidate.checked.share and not checked.problem:
            candidate.outcome, candidate.checked = outcome, checked


def _verdict(best: Candidate, candidates: list[Candidate]) -> str:
    if all(candidate.checked.problem for candidate in candidates):
        return f"No answer could be tried ({best.checked.problem}), so the first one is the answer."
    return (
        f"{best.outcome.agent.name} was chosen of {len(candidates)} candidates: it passes "
        f"{best.checked.share:.0%} of the cases it was tried on."
    )


STRATEGY = Strategy(
    name="propose-test-repair",
    description="Answers are tried on known cases; failures go back to their agent; the best is the answer.",
    play=play,
    roles=("coder",),
    options=OPTIONS,
    needs_checker=True,
)
