"""Setups to begin with, each with what it scored when it was measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from moa_core import Agent, Layer, MoAConfig

SMALL_CODER, CODER = "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"

_WRITE = (
    "You are an expert Python programmer. Read the task and the faulty function, find every mistake, and "
    "write the corrected function. Handle empty input and bad data. Answer with one Python code block."
)
_DEFEND = (
    "You are a careful Python programmer. Think of every input that could break the function: empty lists, "
    "missing keys, wrong types, dates at the edge. Write the whole corrected function in one Python code "
    "block."
)
_SIMPLE = (
    "You write the simplest correct Python. Rewrite the faulty function so that it does exactly what the "
    "task "
    "says, and no more. Answer with one Python code block."
)
_REVIEW = (
    "You are a senior Python reviewer. Below are drafts of the function. Compare them with the task, keep "
    "what "
    "is right, correct what is wrong, and write the final complete function in one Python code block.\n\n"
    "{helper_response}"
)


@dataclass(frozen=True)
class Preset:
    """A setup to begin with. measured: what it did on which day, "" when nobody has measured it."""

    name: str
    use: str
    make: Callable[[], MoAConfig]
    measured: str = ""


def _coder(name: str, model: str, prompt: str, temperature: float) -> Agent:
    return Agent(name, model, prompt, temperature, 900)


def _alone(model: str) -> MoAConfig:
    return MoAConfig(name="One programmer", summarizer=_coder("Programmer", model, _WRITE, 0.0), seed=1)


def _team(model: str) -> MoAConfig:
    writers = (
        _coder("Programmer", model, _WRITE, 0.2),
        _coder("Defender", model, _DEFEND, 0.4),
        _coder("Simplifier", model, _SIMPLE, 0.4),
    )
    return MoAConfig(
        name="Three programmers and a reviewer",
        layers=(Layer(writers),),
        summarizer=_coder("Reviewer", model, _REVIEW, 0.0),
        seed=1,
    )


PRESETS = (
    Preset("Three agents, two layers", "For questions, with the smallest model.", MoAConfig.default),
    Preset("One small programmer", "For the challenge: one call, nobody helps.", lambda: _alone(SMALL_CODER)),
    Preset("One programmer", "For the challenge: one call of the larger coder.", lambda: _alone(CODER)),
    Preset("A small team", "For the challenge: three writers and a reviewer.", lambda: _team(SMALL_CODER)),
    Preset("A team", "The same with the larger coder; the slowest.", lambda: _team(CODER)),
)
