"""Best of n: n samples of the same question, a judge scores them, the best is the answer as it stands."""

from moa_core.errors import LayerFailed
from moa_core.runs.prompts import number_responses, with_system
from moa_core.runs.strategy_context import Part, Stage
from moa_core.strategies.base import Option, Strategy, cast, option, referee

OPTIONS = {"n": Option(4, 1, 64, "samples")}

SAMPLER_PROMPT = "You are a helpful assistant. Answer correctly and completely."
JUDGE_PROMPT = "You are a strict judge. You score answers from 0 (wrong) to 10 (perfect)."
JUDGE_TASK = (
    "These are {n} answers to my last question:\n\n{answers}\n\nGive one score per answer, in their order."
)


async def play(moa: Stage) -> str:
    """The sample with the highest score, the earliest of equals; without a verdict, the first."""
    samplers = cast(moa.config, "sampler", option(moa.config, OPTIONS, "n"), SAMPLER_PROMPT)
    outcomes = await moa.layer([Part(agent, role="sampler") for agent in samplers], "samples")
    samples = [outcome for outcome in outcomes if outcome.error is None]
    scores = await _judge(moa, [sample.text for sample in samples]) if len(samples) > 1 else [0.0]
    best = max(range(len(samples)), key=lambda i: scores[i])  # max keeps the first of equals
    answer = samples[best].text
    if len(samples) > 1:
        moa.note(
            f"{samples[best].agent.name} was chosen of {len(samples)} samples (scores {_listed(scores)})."
        )
    moa.publish(answer)
    return answer


async def _judge(moa: Stage, samples: list[str]) -> list[float]:
    """One score per sample; all equal, with a note, when the judge fails."""
    score = {"type": "number", "minimum": 0, "maximum": 10}
    what = {"description": "the score of the answers above, in their order"}
    scores = {"type": "array", "items": score, "minItems": len(samples), "maxItems": len(samples), **what}
    schema = {"type": "object", "properties": {"scores": scores}, "required": ["scores"]}
    judge = referee(moa.config, "judge", JUDGE_PROMPT, schema)
    answers = number_responses(samples)
    task = JUDGE_TASK.replace("{n}", str(len(samples)), 1).replace("{answers}", answers, 1)
    question = {"role": "user", "content": f"{moa.messages[-1]['content']}\n\n---\n\n{task}"}
    messages = with_system(judge.prompt, (*moa.messages[:-1], question))
    try:
        (verdict,) = await moa.layer([Part(judge, messages=messages, role="judge")], "judging")
    except LayerFailed:
        moa.note("The judge gave no verdict, so the first sample is the answer.")
        return [0.0] * len(samples)
    return [float(value) for value in verdict.value["scores"]]


def _listed(scores: list[float]) -> str:
    return ", ".join(f"{score:g}" for score in scores)


STRATEGY = Strategy(
    name="best-of-n",
    description="Several samples of one question; a judge scores them and the best one is the answer.",
    play=play,
    roles=("sampler", "judge"),
    options=OPTIONS,
)
