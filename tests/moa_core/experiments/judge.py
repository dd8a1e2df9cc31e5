"""A scorer, tasks and a way to try answers, as a command line finds them by name."""

from __future__ import annotations

from dataclasses import dataclass

from moa_core.experiments import Score


@dataclass
class Tried:
    share: float
    feedback: str


def points(reply: str, challenge: str = "first") -> Score:
    return Score(float(len(reply)), 1000.0, {"challenge": challenge})


def raises(reply: str) -> Score:
    raise ValueError("no idea")


def task_messages(challenge: str) -> list[dict[str, str]]:
    if challenge != "first":
        raise KeyError(f"there is no challenge {challenge}")
    return [{"role": "user", "content": f"the task {challenge}"}]


def try_public_cases(reply: str, challenge: str) -> Tried:
    return Tried(min(1.0, len(reply) / 5), "too short")
