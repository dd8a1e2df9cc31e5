"""Best of n: n samples of the same question, a judge scores them, the best is the answer as it stands."""

from moa_core.errors import LayerFailed
from moa_core.runs.prompts import number_responses, with_system
from moa_core.runs.strategy_context import AgentTask, StrategyContext
from moa_core.strategies.base import Option, Strategy, agents_for, judging_agent, option

OPTIONS = {"n": Option(4, 1, 64, "samples")}

SAMPLER_PROMPT = "You are a helpful assistant. Answer correctly and completely."
JUDGE_PROMPT = "You are a strict judge. You score answers from 0 (wrong) to 10 (perfect)."
JUDGE_TASK = (
    "These are {n} answers to my last question:\n\n{answers}\n\nGive one score per answer, in their order."
)


async def answer(run: StrategyContext) -> str:
    """The sample with the highest score, the earliest of equals; without a verdict, the first."""
    samplers = agents_for(run.config, "sampler", option(run.config, OPTIONS, "n"), SAMPLER_PROMPT)
    results = await run.layer([AgentTask(agent, role="sampler") for agent in samplers], "samples")
    samples = [result for result in results if result.error is None]
    scores = await _judge(run, [sample.text for sample in samples]) if len(samples) > 1 else [0.0]
    best = max(range(len(samples)), key=lambda i: scores[i])  # max keeps the first of equals
    chosen = samples[best].text
    if len(samples) > 1:
        run.note(
            f"{samples[best].agent.name} was chosen of {len(samples)} samples (scores {_listed(scores)})."
        )
    run.publish(chosen)
    return chosen


async def _judge(run: StrategyContext, samples: list[str]) -> list[float]:
    """One score per sample; all equal, with a note, when the judge fails."""
    score = {"type": "number", "minimum": 0, "maximum": 10}
    what = {"description": "the score of the answers above, in their order"}
    scores = {"type": "array", "items": score, "minItems": len(samples), "maxItems": len(samples), **what}
    schema = {"type": "object", "properties": {"scores": scores}, "required": ["scores"]}
    judge = judging_agent(run.config, "judge", JUDGE_PROMPT, schema)
    answers = number_responses(samples)
    task = JUDGE_TASK.replace("{n}", str(len(samples)), 1).replace("{answers}", answers, 1)
    question = {"role": "user", "content": f"{run.messages[-1]['content']}\n\n---\n\n{task}"}
    messages = with_system(judge.prompt, (*run.messages[:-1], question))
    try:
        (verdict,) = await run.layer([AgentTask(judge, messages=messages, role="judge")], "judging")
    except LayerFailed:
        run.note("The judge gave no verdict, so the first sample is the answer.")
        return [0.0] * len(samples)
    return [float(value) for value in verdict.value["scores"]]


def _listed(scores: list[float]) -> str:
    return ", ".join(f"{score:g}" for score in scores)


STRATEGY = Strategy(
    name="best-of-n",
    description="Several samples of one question; a judge scores them and the best one is the answer.",
    answer=answer,
    roles=("sampler", "judge"),
    options=OPTIONS,
)
