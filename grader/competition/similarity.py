"""How alike the submissions of different people are: a hint for the host, never a verdict.

Every submission is cut into shingles, runs of words that overlap, and two are as alike as the share of
shingles they have in common (Jaccard; Broder 1997, "On the resemblance and containment of documents"). Code
is compared without comments, and with every name that it defines itself replaced, so that renaming changes
nothing; prompts as the words they are. Small models write alike by themselves: compare with the prompts.
"""

from __future__ import annotations

import io
import json
import keyword
import re
import tokenize
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import sqlalchemy as sa

from grader.competition.models import ParticipantRow, SubmissionRow
from grader.competition.store import Store

SHINGLE = 5
SHOWN_FROM = 0.6
MAX_SHOWN = 100
_COLUMNS = 4_096  # of the matrix at a time: 20 MB for a thousand submissions
_SKIPPED = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
_WORD = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True)
class Pair:
    """Two submissions of different people. code, prompts: 0 to 1, what they have in common."""

    first: str
    second: str
    first_id: int
    second_id: int
    code: float
    prompts: float


def similar_pairs(store: Store, round_id: int, least: float = SHOWN_FROM) -> list[Pair]:
    """The most alike first; for each two people only their most alike submissions. Raises StoreError."""
    columns: tuple[Any, ...] = (
        SubmissionRow.id,
        SubmissionRow.participant_id,
        ParticipantRow.nickname,
        SubmissionRow.code,
        SubmissionRow.config,
    )
    query = sa.select(*columns).join(ParticipantRow, ParticipantRow.id == SubmissionRow.participant_id)
    with store.database.reading() as connection:
        of_round = query.where(SubmissionRow.round_id == round_id).order_by(SubmissionRow.id)
        rows = connection.execute(of_round).all()
    code = _alike([shingles(code_words(row.code)) for row in rows])
    prompts = _alike([shingles(prompt_words(row.config)) for row in rows])
    owner = np.array([row.participant_id for row in rows])
    most, other = np.maximum(code, prompts), np.minimum(code, prompts)
    shown = (most >= least) & (owner[:, None] != owner[None, :])
    first, second = np.nonzero(np.triu(shown))
    found: dict[tuple[int, int], Pair] = {}
    for at in np.lexsort((-other[first, second], -most[first, second])):
        one, two = int(first[at]), int(second[at])
        people = (min(owner[one], owner[two]), max(owner[one], owner[two]))
        if people not in found:
            names = (rows[one].nickname, rows[two].nickname)
            ids = (rows[one].id, rows[two].id)
            found[people] = Pair(*names, *ids, float(code[one, two]), float(prompts[one, two]))
        if len(found) == MAX_SHOWN:
            break
    return list(found.values())


def _alike(sets: Sequence[frozenset[int]]) -> np.ndarray:
    """The Jaccard similarity of every two sets, float32 (n, n); 0 where one is empty.

    A class of two hundred hands in a thousand programs, half a million pairs. So what two have in common is
    counted for all at once, as the product of a 0/1 matrix with itself, a part of its columns at a time;
    shingles that only one set has are left out of it.
    """
    n_sets = Counter(chain.from_iterable(sets))
    number = {shingle: at for at, shingle in enumerate(s for s, n in n_sets.items() if n > 1)}
    common = np.zeros((len(sets), len(sets)), np.float32)
    columns = [np.array([number[each] for each in part if each in number], np.int64) for part in sets]
    for start in range(0, len(number), _COLUMNS):
        has = np.zeros((len(sets), _COLUMNS), np.float32)
        for at, mine in enumerate(columns):
            has[at, mine[(mine >= start) & (mine < start + _COLUMNS)] - start] = 1
        common += has @ has.T
    sizes = np.array([len(part) for part in sets], np.float32)
    alike: np.ndarray = common / np.maximum(1, sizes[:, None] + sizes[None, :] - common)
    return alike


def code_words(code: str) -> list[str]:
    """The tokens of a program without comments, its own names replaced by the order of their appearance."""
    try:
        tokens = [t for t in tokenize.generate_tokens(io.StringIO(code).readline) if t.type not in _SKIPPED]
    except (tokenize.TokenError, SyntaxError, ValueError):
        return _WORD.findall(code)
    numbers: dict[str, str] = {}
    words, before = [], ""
    for token in tokens:
        word = token.string
        if token.type == tokenize.NAME and not keyword.iskeyword(word) and before != ".":
            word = numbers.setdefault(word, f"name{len(numbers)}")
        before = token.string
        words.append(word)
    return words


def prompt_words(config: str) -> list[str]:
    """The words of every prompt in a configuration, in order."""
    words: list[str] = []

    def collect(value: object) -> None:
        if isinstance(value, dict):
            for name, part in value.items():
                if name in ("prompt", "reference_prompt") and isinstance(part, str):
                    words.extend(_WORD.findall(part.lower()))
                else:
                    collect(part)
        elif isinstance(value, list):
            for part in value:
                collect(part)

    collect(json.loads(config))
    return words


def shingles(words: Sequence[str], size: int = SHINGLE) -> frozenset[int]:
    """The hashes of all runs of `size` words; of the whole when it is shorter."""
    last = max(1, len(words) - size + 1)
    return frozenset(hash(tuple(words[at : at + size])) for at in range(last)) if words else frozenset()
