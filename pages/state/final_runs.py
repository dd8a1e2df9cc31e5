"""A setup of a final, run on its seed: where the competition's store meets the agents; no Streamlit."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace

from grader.competition import FinalJob, SetupRun
from moa_core import Event, MoAConfig, RunFailed, RunFinished, run_sync
from moa_core.errors import MoAError
from moa_core.providers import Provider
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
    began = time.monotonic()
    last: Event | None = None
    try:
        config = replace(MoAConfig.from_json(job.config), seed=job.seed)
        with closing(run_sync(routed(config), job.messages, providers, PublicCases(job.challenge))) as events:
            for event in events:
                last = event
                if should_stop():
                    break
    except MoAError as exc:
        return SetupRun("", 0, 0, time.monotonic() - began, str(exc))
    took_s = time.monotonic() - began
    if not isinstance(last, RunFinished | RunFailed):
        return SetupRun("", 0, 0, took_s, "the run was stopped")
    calls = last.trace.calls
    prompt_tokens = sum(call.prompt_tokens or 0 for call in calls)
    tokens = sum(call.completion_tokens or 0 for call in calls)
    if isinstance(last, RunFailed):
        return SetupRun("", prompt_tokens, tokens, took_s, last.message)
    return SetupRun(last.answer, prompt_tokens, tokens, took_s)
