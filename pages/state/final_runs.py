"""A setup of a final, run on its seed: where the competition's store meets the agents; no Streamlit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from grader.competition import FinalJob, SetupRun
from moa_core import MoAConfig
from moa_core.errors import MoAError
from moa_core.providers import Provider
from moa_core.runs.finished import run_to_end
from pages.state.public_cases import PublicCases


def run_setup(
    job: FinalJob,
    should_stop: Callable[[], bool],
    providers: Sequence[Provider],
    routed: Callable[[MoAConfig], MoAConfig] = lambda config: config,
) -> SetupRun:
    """Run the job's configuration with the job's seed; a run that fails says why in `problem`.

    routed: says where each agent's model runs. Between two events it is looked whether to stop early.
    """
    try:
        config = routed(replace(MoAConfig.from_json(job.config), seed=job.seed))
    except MoAError as exc:
        return SetupRun("", 0, 0, 0.0, str(exc))
    made = run_to_end(config, job.messages, providers, PublicCases(job.challenge), should_stop)
    trace = made.trace
    return SetupRun(made.reply, trace.prompt_tokens, trace.completion_tokens, made.seconds, made.problem)
