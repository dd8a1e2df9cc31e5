"""A participant's recap of a round: what was tried, what it brought, what helped. No Streamlit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from grader.competition import Standing
from pages.state.config_diff import config_diff
from pages.state.text import as_plain, count

SHOWN_STEPS = 3


@dataclass(frozen=True)
class Step:
    """One submission: its number, points, tokens, and the configuration it was written with."""

    number: int
    score: float
    tokens: int
    config: str


def what_helped(steps: Sequence[Step]) -> list[tuple[Step, Step, str]]:
    """(before, after, what changed) of the changes that brought most points, the best first.

    Each submission is compared with the one before it; the same setup twice tells of chance and is left out.
    """
    found = []
    for before, after in pairwise(steps):
        changed = config_diff(before.config, after.config)
        if changed and after.score > before.score:
            found.append((before, after, changed))
    return sorted(found, key=lambda step: step[0].score - step[1].score)[:SHOWN_STEPS]


def recap(
    nickname: str,
    title: str,
    max_score: float,
    steps: Sequence[Step],
    place: int | None,
    n_places: int,
    standing: Standing | None,
) -> str:
    """The page to keep. place: on the public board; standing: in the final, None before it is released."""
    best = max(steps, key=lambda step: step.score)
    lines = [
        f"# {as_plain(nickname)} in {as_plain(title)}",
        "",
        f"- {count(len(steps), 'submission')}, the best with {best.score:g} of {max_score:g} points "
        f"(number {best.number}, {best.tokens:,} tokens)",
    ]
    if place is not None:
        lines.append(f"- place {place} of {n_places} on the board")
    if standing is not None:
        low, high = standing.low, standing.high
        spread = "" if low is None or high is None else f" (95 % interval {low:.1f} to {high:.1f})"
        lines.append(f"- place {standing.place} in the final, a mean of {standing.mean:.1f} points{spread}")
    lines += ["", "| Submission | Points | Tokens |", "| --- | --- | --- |"]
    lines += [f"| {step.number} | {step.score:g} | {step.tokens:,} |" for step in steps]
    helped = what_helped(steps)
    if helped:
        lines += ["", "## What helped"]
    for before, after, changed in helped:
        gain = after.score - before.score
        lines += [
            "",
            f"From {before.number} to {after.number}: {gain:+g} points",
            "",
            "```diff",
            changed,
            "```",
        ]
    return "\n".join(lines) + "\n"
