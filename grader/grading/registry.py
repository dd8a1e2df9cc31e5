"""Which challenges there are: every package in `grader/challenges/`."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from grader.errors import BadChallenge, UnknownChallenge
from grader.grading.challenge import Challenge

_FOLDERS = importlib.import_module("grader.challenges")
"""Imported here, before `grader.challenges` comes to mean the function below."""

DEFAULT_CHALLENGE = "user_metrics"


@cache
def _names() -> tuple[str, ...]:
    found = [entry.name for entry in pkgutil.iter_modules(_FOLDERS.__path__) if entry.ispkg]
    return tuple(sorted(found, key=lambda name: (name != DEFAULT_CHALLENGE, name)))


@cache
def challenge(name: str) -> Challenge:
    """The challenge by that name. Raises UnknownChallenge, or BadChallenge when its folder exports none."""
    if name not in _names():
        raise UnknownChallenge(name, _names())
    module = importlib.import_module(f"grader.challenges.{name}")
    found = getattr(module, "CHALLENGE", None)
    if not isinstance(found, Challenge):
        raise BadChallenge(f"grader/challenges/{name}", "its package exports no CHALLENGE")
    return found


def challenges() -> list[Challenge]:
    """Every challenge, the default one first."""
    return [challenge(name) for name in _names()]
