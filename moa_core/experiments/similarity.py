"""How alike answers are, by the tokens of their code: what two agents write twice was paid for twice."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher

import numpy as np
import numpy.typing as npt

_FENCE = re.compile(r"^(?:```|~~~)[^\n]*\n(.*?)(?:^(?:```|~~~)|\Z)", re.DOTALL | re.MULTILINE)
_COMMENT = re.compile(r"#[^\n]*")
_TOKEN = re.compile(r"\w+|[^\w\s]")


def code_tokens(text: str) -> list[str]:
    """The words and signs of the code in a reply (of the whole reply when it has no fenced block)."""
    blocks = _FENCE.findall(text)
    code = "\n".join(blocks) if blocks else text
    return _TOKEN.findall(_COMMENT.sub("", code))


def likeness(first: str, second: str) -> float:
    """How much of two replies' code is the same, in the same order: 0 (nothing) to 1 (all of it).

    2 M / T of Ratcliff & Obershelp 1988 over tokens: M tokens in common blocks, T in both together.
    """
    one, other = code_tokens(first), code_tokens(second)
    if not one and not other:
        return 1.0
    return SequenceMatcher(None, one, other, autojunk=False).ratio()


def mean_likeness(answers: Sequence[Mapping[str, str]]) -> tuple[tuple[str, ...], npt.NDArray[np.float64]]:
    """Names, and how alike their answers are on average: float64 (n, n), symmetric, 1 on the diagonal.

    answers: one mapping from name to text per trial; a pair counts where both answered, NaN where never.
    """
    names = tuple(dict.fromkeys(name for each in answers for name in each))
    matrix = np.eye(len(names))
    for i, first in enumerate(names):
        for j in range(i):
            pairs = [(each[first], each[names[j]]) for each in answers if first in each and names[j] in each]
            found = [likeness(*pair) for pair in pairs]
            matrix[i, j] = matrix[j, i] = sum(found) / len(found) if found else np.nan
    return names, matrix
