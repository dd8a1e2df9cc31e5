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
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import sqlalchemy as sa

from grader.competition.models import ParticipantRow, SubmissionRow
from grader.competition.store import Store

SHINGLE = 5
SHOWN_FROM = 0.6
MAX_SHOWN = 100
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
        rows = connection.execute(query.where(SubmissionRow.round_id == round_id)).all()
    marked = [(row, shingles(code_words(row.code)), shingles(prompt_words(row.config))) for row in rows]
    closest: dict[tuple[int, int], Pair] = {}
    for (one, code, prompts), (two, other_code, other_prompts) in combinations(marked, 2):
        if one.participant_id == two.participant_id:
            continue
        pair = Pair(
            one.nickname,
            two.nickname,
            one.id,
            two.id,
            jaccard(code, other_code),
            jaccard(prompts, other_prompts),
        )
        people = (min(one.participant_id, two.participant_id), max(one.participant_id, two.participant_id))
        if max(pair.code, pair.prompts) >= least and _order(pair) < _order(closest.get(people)):
            closest[people] = pair
    return sorted(closest.values(), key=_order)[:MAX_SHOWN]


def _order(pair: Pair | None) -> tuple[float, float]:
    return (0.0, 0.0) if pair is None else (-max(pair.code, pair.prompts), -min(pair.code, pair.prompts))


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


def jaccard(one: frozenset[int], two: frozenset[int]) -> float:
    """The share of what both have in what either has; 0 when one is empty."""
    return len(one & two) / len(one | two) if one and two else 0.0
