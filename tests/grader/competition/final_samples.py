"""A final whose runs are written by a function instead of agents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from grader.competition import Final, FinalJob, FinalRunner, Round, SetupRun, Store
from tests.grader.competition.samples import join, open_round, report, scored


def closed_round(store: Store, scores: dict[str, float], **rules: Any) -> Round:
    """A round that is over, in which everybody has one submission with this score."""
    made = open_round(store, **rules)
    for number, (nickname, score) in enumerate(scores.items()):
        scored(store, join(store, made, nickname), f"k{number}", score)
    return store.rounds.close(made.id)


def runner(
    store: Store, run: Callable[[FinalJob], SetupRun], points: Callable[[str, int], float], **options: Any
) -> FinalRunner:
    """points: what a reply earns on a seed."""

    def grade(reply: str, challenge: str, seed: int) -> tuple[str, dict[str, Any]]:
        return reply, report(points(reply, seed))

    return FinalRunner(store, lambda job, should_stop: run(job), grade=grade, lease_s=0.3, **options)


def written(job: FinalJob, tokens: int = 100) -> SetupRun:
    """What a setup writes: who it is (samples name it in the configuration)."""
    return SetupRun(job.config, 10, tokens, 0.1)


def play(store: Store, started: Final, **options: Any) -> None:
    """Run the final to its end; everybody earns the number in their configuration."""
    made = runner(
        store, options.pop("run", written), options.pop("points", lambda reply, seed: 50), **options
    )
    made.wake()
    assert made.wait_idle(60)
