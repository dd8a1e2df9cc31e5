"""Model names: which are misspelt or retired in files that circulate, and what could replace them now.

Nothing here says what exists: that is asked of the servers. What is known is what old names meant, so that
a replacement of the same kind and size can be proposed out of what there is.
"""

import difflib
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["general", "coder", "reasoning"]


@dataclass(frozen=True, slots=True)
class RetiredModel:
    """A name that workshop files use and Cerebras' API no longer serves.

    billions: parameters, all experts counted. retired: when, as the service announced it
    (inference-docs.cerebras.ai/support/deprecation, read in November 2026).
    """

    billions: float
    kind: Kind
    retired: str


RETIRED = {
    "llama3.1-8b": RetiredModel(8, "general", "2026-05-27"),
    "llama3.1-70b": RetiredModel(70, "general", "2025-01-17"),
    "llama-3.3-70b": RetiredModel(70, "general", "2026-02-16"),
    "llama-4-scout-17b-16e-instruct": RetiredModel(109, "general", "2025-11-03"),
    "llama-4-maverick-17b-128e-instruct": RetiredModel(400, "general", "2025-10-15"),
    "deepseek-r1-distill-llama-70b": RetiredModel(70, "reasoning", "2025-08-12"),
    "qwen-3-32b": RetiredModel(32, "reasoning", "2026-02-16"),
    "qwen-3-235b-a22b": RetiredModel(235, "reasoning", "2025-07-29"),
    "qwen-3-235b-a22b-thinking-2507": RetiredModel(235, "reasoning", "2025-11-14"),
    "qwen-3-235b-a22b-instruct-2507": RetiredModel(235, "general", "2026-05-27"),
    "qwen-3-coder-480b": RetiredModel(480, "coder", "2025-11-05"),
    "zai-glm-4.6": RetiredModel(355, "reasoning", "2026-01-20"),
}

# Names seen in shared workshop files that no service ever listed, and the name that is meant.
MISSPELT = {
    "llama3.3-70b": "llama-3.3-70b",
    "llama-3.1-8b": "llama3.1-8b",
    "llama-4-scout": "llama-4-scout-17b-16e-instruct",
    "llama4-scout-17b-16e-instruct": "llama-4-scout-17b-16e-instruct",
    "qwen3-32b": "qwen-3-32b",
    "qwen-3-235b": "qwen-3-235b-a22b-instruct-2507",
}
# Names that say no size but are surely large models.
FAMILIES = ("gpt", "claude", "gemini", "mistral", "deepseek", "llama", "qwen", "gemma", "grok", "glm", "kimi")
CODER_WORDS = ("coder", "codestral", "devstral", "code")
REASONING_WORDS = ("gpt-oss", "thinking", "reason", "-r1", "glm")
SMALL_BILLIONS = 3.0  # models up to here run in this process
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([bm])(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ModelSuggestion:
    """A model that is not available here, who uses it, and what could replace it (None: nothing is there).

    reason: why that one, in words for the user.
    """

    model: str
    agents: tuple[str, ...]
    replacement: str | None
    reason: str = ""


def closest_model(model: str, available: Iterable[str]) -> str | None:
    """The available name that `model` most probably is another spelling of, or None."""
    names = tuple(available)
    meant = MISSPELT.get(model, model)
    if meant in names:
        return meant
    plain = {_plain(_core(name)): name for name in sorted(names, key=len, reverse=True)}
    wanted = _plain(_core(meant))
    longer = [spelt for spelt in plain if _size_in(meant) and spelt.startswith(wanted)]
    if wanted in plain or longer:
        return plain[wanted if wanted in plain else min(longer, key=len)]
    close = difflib.get_close_matches(wanted, plain, n=1, cutoff=0.75)
    return plain[close[0]] if close and _same_size(meant, plain[close[0]]) else None


def replacement(model: str, available: Iterable[str]) -> tuple[str | None, str]:
    """What could replace `model` out of what is `available`, and why.

    Another spelling first; then, among large models, the one nearest in size, of the same kind among equals;
    where there are only models of this process, the largest that writes code.
    """
    names = tuple(available)
    close = closest_model(model, names)
    if close is not None:
        return close, "another spelling of the same name"
    meant = MISSPELT.get(model, model)
    known = RETIRED.get(meant)
    wanted = known.billions if known else _billions(meant)
    large = [name for name in names if (_billions(name) or 0.0) > SMALL_BILLIONS]
    gone = f"{meant} was retired on {known.retired}; " if known else ""
    if wanted is None and not any(family in meant.lower() for family in FAMILIES):
        gone = "nothing is known of this name; "
    if large and (wanted is None or wanted > SMALL_BILLIONS):
        kind = known.kind if known else _kind(meant)
        if wanted is None:
            best = max(large, key=lambda name: (_billions(name) or 0.0, _kind(name) == kind))
            return best, f"{gone}the largest of what is served now"
        best = min(large, key=lambda name: (_distance(name, wanted), _kind(name) != kind, name))
        return best, f"{gone}the nearest in size of what is served now"
    small = [name for name in names if name not in large and _billions(name) is not None]
    coders = [name for name in small if _kind(name) == "coder"] or small
    if not coders:
        return None, f"{gone}nothing here could take its place"
    best = max(coders, key=lambda name: _billions(name) or 0.0)
    return best, f"{gone}the largest coder that runs in this process"


def misspelling_note(model: str) -> str | None:
    """A note when `model` is misspelt or was retired, else None."""
    meant = MISSPELT.get(model, model)
    said = [f"is probably {meant!r}"] if meant != model else []
    if meant in RETIRED:
        said.append(f"was retired by Cerebras on {RETIRED[meant].retired}")
    return f"model {model!r} {', which '.join(said)}: choose a replacement before the run" if said else None


def _billions(name: str) -> float | None:
    """Parameters in billions, known or as the name says."""
    return RETIRED[name].billions if name in RETIRED else _size_in(name)


def _size_in(name: str) -> float | None:
    """The largest size in a name, in billions, 135m being 0.135."""
    sizes = [float(number) / (1 if unit.lower() == "b" else 1000) for number, unit in _SIZE.findall(name)]
    return max(sizes, default=None)


def _distance(name: str, billions: float) -> float:
    """How far two sizes are apart, in powers of two, rounded so that nearly equal counts as equal."""
    return round(abs(math.log2((_billions(name) or billions) / billions)), 1)


def _same_size(left: str, right: str) -> bool:
    sizes = _billions(left), _billions(right)
    return None in sizes or sizes[0] == sizes[1]


def _kind(name: str) -> Kind:
    if name in RETIRED:
        return RETIRED[name].kind
    lower = name.lower()
    if any(word in lower for word in CODER_WORDS):
        return "coder"
    return "reasoning" if any(word in lower for word in REASONING_WORDS) else "general"


def _core(name: str) -> str:
    """A name without the maker in front of it and the tariff behind it (`meta-llama/...:free`)."""
    return re.sub(r":[a-z]+$", "", name.rpartition("/")[2])


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
