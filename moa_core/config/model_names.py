"""Model names: which are misspelt in circulation, and what an unavailable one probably means."""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass

# Names seen in shared workshop files that no service lists, and the name that is meant.
MISSPELT = {
    "llama3.3-70b": "llama-3.3-70b",
    "llama-3.1-8b": "llama3.1-8b",
    "llama-4-scout": "llama-4-scout-17b-16e-instruct",
    "llama4-scout-17b-16e-instruct": "llama-4-scout-17b-16e-instruct",
    "qwen3-32b": "qwen-3-32b",
    "qwen-3-235b": "qwen-3-235b-a22b-instruct-2507",
}


@dataclass(frozen=True, slots=True)
class ModelSuggestion:
    """A model that is not available here, who uses it, and what could replace it (None: nothing is close)."""

    model: str
    agents: tuple[str, ...]
    replacement: str | None


def closest_model(model: str, available: Iterable[str]) -> str | None:
    """The available name that `model` most probably means, or None."""
    names = tuple(available)
    if MISSPELT.get(model) in names:
        return MISSPELT[model]
    plain = {_plain(name): name for name in names}
    if _plain(model) in plain:
        return plain[_plain(model)]
    close = difflib.get_close_matches(_plain(model), plain, n=1, cutoff=0.75)
    return plain[close[0]] if close else None


def misspelling_note(model: str) -> str | None:
    """A note when `model` is a known misspelling, else None."""
    if model not in MISSPELT:
        return None
    return f"model {model!r} is probably {MISSPELT[model]!r}: choose a replacement before the run"


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
