"""Lets a model rewrite the agents' prompt after it has read what their answers failed at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from moa_core.config.values import MoAConfig
from moa_core.errors import ExperimentError
from moa_core.providers.base import Provider
from moa_core.runs.events import RunFailed, RunFinished
from moa_core.runs.orchestrator import run_sync

MAX_FAILURES = 6
MAX_FAILURE_CHARS = 300
MAX_PROMPT_CHARS = 2000
MAX_TOKENS = 400

_ASKED = (
    "You improve the system prompts of programming agents.\n\nTheir prompt is:\n\n{prompt}\n\n"
    "Their answers failed at:\n\n{failures}\n\n"
    "Write a better system prompt, at most 120 words, with general advice that avoids these failures. "
    "Write no code. Answer with the prompt only."
)


def failures_in(details: Sequence[Mapping[str, Any]]) -> list[str]:
    """What failed, the most frequent first, from the details of scores.

    Reads what many graders give: "checks" (or a "report" with them), each with "message" and "passed"; else a
    "feedback".
    """
    counts: dict[str, int] = {}
    for detail in details:
        failed = [
            f"{check.get('name', '')}: {check.get('message', '')}"
            for check in _checks(detail)
            if not check.get("passed", False)
        ]
        for line in failed or [str(detail.get("feedback", ""))]:
            line = line.strip()[:MAX_FAILURE_CHARS]
            if line:
                counts[line] = counts.get(line, 0) + 1
    return sorted(counts, key=lambda line: -counts[line])[:MAX_FAILURES]


def _checks(detail: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The checks of a score's detail, or of the report in it."""
    report = detail.get("report")
    found: Sequence[Mapping[str, Any]] = (report if isinstance(report, Mapping) else detail).get(
        "checks"
    ) or ()
    return found


def rewrite(
    prompt: str, failures: Sequence[str], model: str, providers: Sequence[Provider], seed: int
) -> str:
    """A new prompt for agents that failed so. Raises ExperimentError when the model gives none."""
    listed = "\n".join(f"- {line}" for line in failures) or "- nothing in particular"
    asked = _ASKED.replace("{failures}", listed, 1).replace("{prompt}", prompt.strip() or "(none)", 1)
    config = MoAConfig.from_json(
        {
            "summarizer": {"name": "Rewriter", "model": model, "temperature": 0.7, "max_tokens": MAX_TOKENS},
            "strategy": "single",
            "layers": [],
            "seed": seed,
        }
    )
    reply = ""
    with closing(run_sync(config, asked, providers)) as events:
        for event in events:
            if isinstance(event, RunFailed):
                raise ExperimentError(f"{model} could not rewrite the prompt: {event.message}")
            if isinstance(event, RunFinished):
                reply = event.answer
    text = reply.strip().strip("`\"'").strip()[:MAX_PROMPT_CHARS]
    if not text:
        raise ExperimentError(f"{model} wrote an empty prompt")
    return text
