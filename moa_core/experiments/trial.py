"""One trial: a configuration run once with one seed, its reply scored, everything about it kept."""

from __future__ import annotations

import hashlib
import json
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from moa_core.config.values import MoAConfig
from moa_core.errors import ExperimentError, MoAError
from moa_core.experiments.remembering import Answer, Remembering
from moa_core.providers.base import Provider
from moa_core.providers.model_info import TokenPrice
from moa_core.runs.finished import run_to_end
from moa_core.runs.prompts import Message
from moa_core.runs.strategy_context import Checker
from moa_core.runs.trace import CallRecord, CheckRecord, Trace

Providers = Provider | Sequence[Provider] | Callable[[], Sequence[Provider]]
"""What a run asks; or a module-level function that makes it, called once per process that runs trials."""


@dataclass(frozen=True, slots=True)
class Score:
    """What a reply is worth. value: points of `maximum`; detail: plain JSON data to look at later."""

    value: float
    maximum: float
    detail: Mapping[str, Any] = field(default_factory=dict, hash=False)


Scorer = Callable[[str], Any]
"""Scores a reply: returns a `Score`, or anything with value, maximum and detail. Called on threads."""


@dataclass(frozen=True, slots=True)
class Task:
    """What every trial of an experiment has in common.

    prices: by model; a model in this process costs nothing, one without a price has no known cost. checker:
    for strategies that try their answers.
    """

    messages: tuple[Message, ...]
    providers: Providers
    scorer: Scorer
    checker: Checker | None = None
    prices: Mapping[str, TokenPrice] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Assignment:
    """One trial to make. known: answers of earlier trials that need not be made again."""

    label: str
    config: MoAConfig
    seed: int
    known: Mapping[str, Answer] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial that has ended. score is None when there is none; then `problem` says why.

    label: which configuration of the experiment. n_reused: calls whose answers were known. answers: what was
    answered to which request, for reuse; no part of the stored form. version: of the code that made it.
    dollars: None when a price is not known.
    """

    label: str
    config: MoAConfig
    seed: int
    messages: tuple[Message, ...]
    reply: str
    score: Score | None
    problem: str
    trace: Trace
    seconds: float
    dollars: float | None
    version: str
    started_at_s: float
    n_reused: int = 0
    answers: Mapping[str, Answer] = field(default_factory=dict, compare=False, repr=False)

    @property
    def value(self) -> float | None:
        """The points, None without a score."""
        return None if self.score is None else self.score.value

    @property
    def prompt_tokens(self) -> int:
        """Tokens that all calls read, as far as providers tell."""
        return self.trace.prompt_tokens

    @property
    def completion_tokens(self) -> int:
        """Tokens that all calls wrote, as far as providers tell."""
        return self.trace.completion_tokens

    @property
    def n_calls(self) -> int:
        """Calls that were made, without those whose answers were known."""
        return len(self.trace.calls) - self.n_reused

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data, everything but `answers`; `from_dict` reads it back."""
        return {
            "label": self.label,
            "config": self.config.to_dict(),
            "seed": self.seed,
            "messages": [dict(message) for message in self.messages],
            "reply": self.reply,
            "score": None if self.score is None else asdict(self.score),
            "problem": self.problem,
            "trace": self.trace.to_dict(),
            "seconds": self.seconds,
            "dollars": self.dollars,
            "version": self.version,
            "started_at_s": self.started_at_s,
            "n_reused": self.n_reused,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Trial:
        """Read what `to_dict` wrote. Raises ExperimentError on another shape."""
        try:
            own = {**data, "config": MoAConfig.from_json(data["config"]), "trace": _trace_from(data["trace"])}
            own["messages"] = tuple(data["messages"])
            own["score"] = None if data["score"] is None else Score(**data["score"])
            return cls(**own)
        except (KeyError, TypeError, ValueError) as exc:
            raise ExperimentError(f"this is no stored trial of this version: {exc!r}") from exc


def run_trial(
    assignment: Assignment,
    task: Task,
    stop: threading.Event | None = None,
    clock: Callable[[], float] = time.time,
) -> Trial:
    """Run and score; whatever fails on the way is the trial's problem, not an exception.

    A module-level function of plain values, so that it can travel to other processes and machines. stop: ends
    the run early where it is set in this process.
    """
    started_at_s, began = clock(), time.monotonic()
    config = replace(assignment.config, seed=assignment.seed)
    remembering: list[Remembering] = []
    try:
        remembering = [Remembering(provider, assignment.known) for provider in provided(task.providers)]
    except MoAError as exc:
        return failed_trial(assignment, task, str(exc), clock)
    should_stop = None if stop is None else stop.is_set
    made = run_to_end(config, task.messages, remembering, task.checker, should_stop)
    problem, score = made.problem, None
    if not problem:
        try:
            score = scored(task.scorer, made.reply)
        except ExperimentError as exc:
            problem = str(exc)
    calls = tuple(replace(call, timing=None, routing=None) for call in made.trace.calls)
    return Trial(
        label=assignment.label,
        config=config,
        seed=assignment.seed,
        messages=task.messages,
        reply=made.reply,
        score=score,
        problem=problem,
        trace=replace(made.trace, calls=calls),
        seconds=time.monotonic() - began,
        dollars=dollars(calls, task.prices),
        version=code_version(),
        started_at_s=started_at_s,
        n_reused=sum(each.n_reused for each in remembering),
        answers={key: answer for each in remembering for key, answer in each.answers.items()},
    )


def replay(trial: Trial, providers: Providers, scorer: Scorer, checker: Checker | None = None) -> Trial:
    """Make a stored trial once more: the same setup, messages and seed.

    In this process the same version of the code gives the same reply, to the letter.
    """
    return run_trial(
        Assignment(trial.label, trial.config, trial.seed), Task(trial.messages, providers, scorer, checker)
    )


def replay_words(trial: Trial, again: Trial) -> str:
    """How a replay came out, in a sentence."""
    if again.problem:
        return f"The replay has no answer: {again.problem}"
    if again.reply == trial.reply:
        return "The replay gave the same reply, to the letter."
    other = "" if again.version == trial.version else f" The trial was made by version {trial.version}."
    return f"The replay gave another reply.{other}"


def failed_trial(
    assignment: Assignment, task: Task, problem: str, clock: Callable[[], float] = time.time
) -> Trial:
    """The trial of an assignment that never came back, or could not begin."""
    config = replace(assignment.config, seed=assignment.seed)
    return Trial(
        assignment.label, config, assignment.seed, task.messages, "", None, problem,
        Trace((), 0.0), 0.0, 0.0, code_version(), clock(),
    )  # fmt: skip


def scored(scorer: Scorer, reply: str) -> Score:
    """The scorer's verdict as a `Score`. Raises ExperimentError for one that raises or gives no number."""
    try:
        found = scorer(reply)
    except Exception as exc:  # the scorer is the caller's: whatever it raises ends this trial only
        raise ExperimentError(f"the scorer raised {type(exc).__name__}: {exc}") from exc
    value = getattr(found, "value", found)
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not abs(value) <= sys.float_info.max  # an integer may be too large to become a float
    ):
        raise ExperimentError(f"the scorer gave {found!r}; a score has a finite number as its value")
    return Score(
        float(value), float(getattr(found, "maximum", 1.0)), dict(getattr(found, "detail", None) or {})
    )


def provided(providers: Providers) -> Sequence[Provider]:
    """The providers, made at most once in this process."""
    if callable(providers):
        return _made(providers)
    return tuple(providers) if isinstance(providers, Sequence) else (providers,)


@cache
def _made(make: Callable[[], Sequence[Provider]]) -> Sequence[Provider]:
    return tuple(make())


def dollars(calls: Sequence[CallRecord], prices: Mapping[str, TokenPrice]) -> float | None:
    """What the calls cost: at the given price, else as the server told; nothing in this process."""
    total = 0.0
    for call in calls:
        price = prices.get(call.model)
        if price is not None:
            total += price.cost_usd(
                call.prompt_tokens or 0, call.cached_tokens or 0, call.completion_tokens or 0
            )
        elif call.cost_usd is not None:
            total += call.cost_usd
        elif call.provider not in ("", "wafer"):
            return None
    return total


@cache
def code_version() -> str:
    """Names the code that makes a reply out of a configuration and a seed: another text, another name."""
    root = Path(__file__).parents[2]
    digest = hashlib.sha256()
    for package in ("moa_core", "wse_backend"):
        for path in sorted((root / package).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:10]


def config_key(config: MoAConfig) -> str:
    """Names a configuration by what its runs depend on, whatever it is called."""
    data = replace(config, name="", description="", seed=None).to_dict()
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]


def _trace_from(data: Mapping[str, Any]) -> Trace:
    names = {item.name for item in fields(CallRecord)}
    calls = []
    for row in data["calls"]:
        known = {name: value for name, value in row.items() if name in names}
        calls.append(CallRecord(**{**known, "notes": tuple(known.get("notes", ()))}))
    checks = tuple(CheckRecord(**row) for row in data.get("checks", ()))
    return Trace(tuple(calls), data["total_s"], tuple(data["notes"]), data["seed"], checks)
