"""Prompt lookup: draft the coming tokens from what the text already says, and check the drafts in one pass.

A text that quotes its prompt, repeats a name or goes round in circles goes on as it did the last time its
latest tokens stood there. Such a draft costs one more row in the pass over the weights, far less than a pass
of its own. What sampling chooses decides: drafts are kept while they are what it would have chosen anyway,
and a row has the same bits in every batch, so a text is the same to the last token with drafts or without.

Speculative decoding: Leviathan, Kalman & Matias 2023, arXiv 2211.17192. Drafts by lookup instead of a
second model: A. Saxena 2023, "Prompt Lookup Decoding".
"""

import itertools
import math
import statistics
from bisect import bisect_right
from collections import Counter
from collections.abc import Container, Sequence
from typing import NamedTuple

LONGEST_MATCH = 32
PLACES_KEPT = 4  # of each pair of tokens, the latest

# How often a draft was right by how many tokens before it matched, over 3 MoA turns of each of SmolLM2-135M
# and Qwen2.5-Coder-0.5B with the app's first setup (9,361 tokens). Where each engine begins to learn.
# A single token says little about the next one (right one time in five): two have to match at least.
MATCHES = (2, 3, 4, 6, 8, 16)
FIRST_RATES = (0.50, 0.60, 0.65, 0.75, 0.90, 0.95)
FIRST_WEIGHT, MEMORY = 20.0, 0.99  # drafts the first rates count for; what one more draft leaves of the past
USUAL_FIXED_ROWS = 4.0  # rows that cost as much as the fixed part of a pass; both models, AVX-512
LINE_EVERY = 16  # passes between two estimates of what a row costs: one takes as long as 2 % of a short pass
LAST_SPREAD = 2.0  # tokens: how sure it is that the text with the most left ends last; 8 and more were slower


class PromptLookup:
    """Where each pair of tokens stood last in one growing text."""

    def __init__(self, tokens: list[int]) -> None:
        """tokens: the text, prompt first; the caller appends to it."""
        self._tokens = tokens
        self._places: dict[tuple[int, int], list[int]] = {}
        self._n_indexed = 2
        self.n_matched = 0  # tokens before the last draft that stood so at the place it was taken from

    def draft(self, n: int) -> list[int]:
        """Return `n` tokens that may come next, or none."""
        tokens = self._tokens
        for place in range(self._n_indexed, len(tokens)):
            places = self._places.setdefault((tokens[place - 2], tokens[place - 1]), [])
            places.append(place)
            del places[:-PLACES_KEPT]
        self._n_indexed = max(self._n_indexed, len(tokens))
        matched, place = 0, 0
        for candidate in reversed(self._places.get((tokens[-2], tokens[-1]), ()) if len(tokens) > 1 else ()):
            length = self._match(candidate)
            if length > matched:
                matched, place = length, candidate
        drafted: list[int] = []
        while matched and len(drafted) < n:
            at = place + len(drafted)
            drafted.append(tokens[at] if at < len(tokens) else drafted[at - len(tokens)])
        self.n_matched = matched
        return drafted

    def _match(self, place: int) -> int:
        """How many tokens before `place` are those at the end of the text."""
        tokens, length = self._tokens, 0
        while length < min(LONGEST_MATCH, place) and tokens[place - 1 - length] == tokens[-1 - length]:
            length += 1
        return length


class AcceptanceRates:
    """How often drafts come true, by the length of the match; learned over all texts of an engine."""

    def __init__(self) -> None:
        self._tries = [FIRST_WEIGHT] * len(MATCHES)
        self._hits = [FIRST_WEIGHT * rate for rate in FIRST_RATES]

    def learn(self, matched: int, is_hit: bool) -> None:
        """Book one draft whose predecessors were all right."""
        row = bisect_right(MATCHES, matched) - 1
        self._tries[row] = MEMORY * self._tries[row] + 1
        self._hits[row] = MEMORY * self._hits[row] + is_hit

    def chances(self, matched: int, n: int) -> list[float]:
        """Probability that the first, the first two, ... of `n` drafts are all right."""
        rows = [bisect_right(MATCHES, matched + i) - 1 for i in range(n)]
        rates = [self._hits[row] / self._tries[row] for row in rows]
        return [math.prod(rates[: i + 1]) for i in range(n)]


class PassCost:
    """What a pass of a few rows takes, learned from those that were run: a fixed part and one per row."""

    def __init__(self, most_rows: int) -> None:
        self._seconds: list[float | None] = [None] * (most_rows + 1)
        self._line: tuple[float, float] | None = (0.0, 0.0)
        self._n_learned = 0

    def learn(self, n_rows: int, seconds: float) -> None:
        """Book one pass. What disturbs a pass only makes it longer: shorter ones count for more."""
        known = self._seconds[n_rows]
        weight = 1.0 if known is None else 0.5 if seconds < known else 0.1
        self._seconds[n_rows] = (known or 0.0) * (1 - weight) + seconds * weight
        self._n_learned += 1
        if known is None or self._n_learned % LINE_EVERY == 0:
            self._line = None  # drawn anew when it is asked for

    def line(self) -> tuple[float, float]:
        """Seconds of a pass without rows, and of each row; (0, 0) before any pass.

        The median of the slopes between any two numbers of rows (Theil 1950), which one bad measurement
        does not bend; not below half of what is usual, and not above a whole pass divided by its rows.
        """
        if self._line is None:
            self._line = self._fit()
        return self._line

    def _fit(self) -> tuple[float, float]:
        points = [(n, seconds) for n, seconds in enumerate(self._seconds) if seconds is not None]
        fewest, least = points[0]
        per_row = least / (fewest + USUAL_FIXED_ROWS)
        slopes = [(t - s) / (m - n) for (n, s), (m, t) in itertools.combinations(points, 2)]
        if slopes:
            most = min(seconds / n for n, seconds in points)
            per_row = min(max(statistics.median(slopes), per_row / 2), most)
        return max(0.0, statistics.median(s - n * per_row for n, s in points)), per_row


def last_chances(left: Sequence[int]) -> list[float]:
    """For each text, the probability that it is the last to end, by how many tokens it may still get.

    A draft for the last one shortens the whole wait, a draft for another only its own row later.
    """
    weights = [math.exp((n - max(left)) / LAST_SPREAD) for n in left]
    return [weight / sum(weights) for weight in weights]


def choose_drafts(
    chances: Sequence[Sequence[float]], lasts: Sequence[float], most_rows: int, cost: PassCost
) -> list[int]:
    """How many drafts of each text to compute in a pass that computes one token of each anyway.

    chances: for each text, falling probabilities that its first so many drafts are right; lasts: for each
    text, the probability that it ends last (adding up to 1); most_rows: of the pass, drafts included.
    A draft that comes true saves a row of a later pass, and the rest of that pass if its text ends last.
    It is computed if that is expected to save more than its own row costs.
    """
    fixed, per_row = cost.line()
    values = [
        (chance * (per_row + fixed * last), index)
        for index, (text, last) in enumerate(zip(chances, lasts, strict=True))
        for chance in text
    ]
    worthwhile = sorted((value for value in values if value[0] > per_row), reverse=True)
    counts = Counter(index for _, index in worthwhile[: max(0, most_rows - len(chances))])
    return [counts[index] for index in range(len(chances))]


class Text(NamedTuple):
    """A sequence that is being written, as the drafter sees it."""

    lookup: PromptLookup
    room: int  # drafts it can use at most
    owner: str


class Drafter:
    """Chooses the drafts of each pass of an engine, and learns from what became of them."""

    def __init__(self, most_rows: int, stop_ids: Container[int]) -> None:
        """most_rows: of a pass with drafts; stop_ids: tokens that end a text."""
        self.rates = AcceptanceRates()
        self.cost = PassCost(most_rows)
        self._most_rows = most_rows
        self._stop_ids = stop_ids

    def choose(self, texts: Sequence[Text]) -> list[list[int]]:
        """The drafts to compute of each text, besides its next token."""
        room = self._most_rows - len(texts)
        drafts = [self._until_stop(text.lookup.draft(min(text.room, room))) for text in texts]
        chances = [
            self.rates.chances(text.lookup.n_matched, len(draft))
            for text, draft in zip(texts, drafts, strict=True)
        ]
        counts = choose_drafts(chances, self._lasts(texts), self._most_rows, self.cost)
        return [draft[:n] for draft, n in zip(drafts, counts, strict=True)]

    def _until_stop(self, draft: list[int]) -> list[int]:
        ends = (i for i, token in enumerate(draft) if token in self._stop_ids)
        return draft[: next(ends, None)]  # after an end nothing has to be computed

    @staticmethod
    def _lasts(texts: Sequence[Text]) -> list[float]:
        """The probabilities that each text ends last among its owner's; all owners count alike."""
        lasts = [0.0] * len(texts)
        owners = {text.owner for text in texts}
        for owner in owners:
            own = [index for index, text in enumerate(texts) if text.owner == owner]
            for index, chance in zip(own, last_chances([texts[i].room for i in own]), strict=True):
                lasts[index] = chance / len(owners)
        return lasts
