"""What goes into the store and what comes out of it, as plain data."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from grader.competition.budgets import RoundBudget
from grader.competition.errors import NotASubmission, TooLarge
from grader.competition.limits import (
    CODE_BYTES,
    CONFIG_BYTES,
    KEY_CHARS,
    MESSAGES_BYTES,
    REPLY_BYTES,
)

State = Literal["draft", "waiting", "open", "closed"]
Visibility = Literal["everyone", "own", "closed"]
VISIBILITIES: tuple[Visibility, ...] = ("everyone", "own", "closed")
"""Who sees scores: everyone the board; participants their own; nobody before the round is closed."""

_MAX_INTEGER = 2**63 - 1


def now_ms() -> int:
    """Milliseconds since 1970, UTC."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class Round:
    """A round and its rules; see `models.RoundRow` for the fields."""

    id: int
    uid: str
    title: str
    challenge: str
    seed: int
    opens_ms: int | None
    closes_ms: int | None
    submission_limit: int | None
    cooldown_s: int
    visibility: Visibility
    created_ms: int
    frozen_ms: int | None
    has_hidden_names: bool
    budget: str = "{}"
    team_size: int = 1
    has_practice: bool = False
    announcement: str = ""
    announced_ms: int | None = None
    prizes: str = "[]"
    has_paused_runs: bool = False

    @property
    def limits(self) -> RoundBudget:
        """The budget of an attempt. Raises Refused when what is stored is none (see `why_unplayable`)."""
        return RoundBudget.from_json(self.budget)

    @property
    def prize_list(self) -> list[tuple[str, str]]:
        """(name, board) of each prize."""
        return [(name, board) for name, board in json.loads(self.prizes)]

    def takes_practice(self, at_ms: int) -> bool:
        """Whether submissions are taken that count on no board later."""
        return self.has_practice and self.state(at_ms) in ("draft", "waiting")

    def state(self, at_ms: int) -> State:
        """draft: no opening time yet; waiting: it is in the future."""
        if self.closes_ms is not None and self.closes_ms <= at_ms:
            return "closed"
        if self.opens_ms is None:
            return "draft"
        return "open" if self.opens_ms <= at_ms else "waiting"


@dataclass(frozen=True)
class Participant:
    """An entry in a round. person: who made it by a sign-in, where the nickname is a team's."""

    id: int
    round_id: int
    number: int
    nickname: str
    created_ms: int
    disqualified_ms: int | None
    disqualified_reason: str | None
    person: str | None = None

    @property
    def is_disqualified(self) -> bool:
        """Whether the host has taken them out."""
        return self.disqualified_ms is not None


@dataclass(frozen=True)
class Generation:
    """A graded generation as the app hands it in, with its provenance.

    attempt_key: made with the generation, so that sending it again stores nothing twice. config: JSON of the
    whole setup. seed: what the run was made with. backend: who ran the models. tokens: generated in all.
    prompt_tokens, n_calls: read in all, and by how many calls. cost_usd: US dollars of the calls whose
    price is known; None where none is.
    """

    attempt_key: str
    config: str
    messages: Sequence[Mapping[str, str]]
    seed: int | None
    backend: str
    models: Sequence[str]
    reply: str
    code: str
    tokens: int
    duration_s: float
    prompt_tokens: int | None = None
    n_calls: int | None = None
    strategy: str | None = None
    cost_usd: float | None = None

    def to_columns(self) -> dict[str, Any]:
        """The columns of `SubmissionRow`. Raises TooLarge or NotASubmission."""
        messages = json.dumps([dict(message) for message in self.messages], ensure_ascii=False)
        for part, text, limit in (
            ("configuration", self.config, CONFIG_BYTES),
            ("prompt", messages, MESSAGES_BYTES),
            ("reply", self.reply, REPLY_BYTES),
            ("code", self.code, CODE_BYTES),
        ):
            size_bytes = len(text.encode("utf-8", "replace"))
            if size_bytes > limit:
                raise TooLarge(part, size_bytes, limit)
        _check_config(self.config)
        if not 0 < len(self.attempt_key) <= KEY_CHARS or not self.attempt_key.isalnum():
            raise NotASubmission(f"an attempt's key has 1 to {KEY_CHARS} letters and digits")
        if not self.code.strip():
            raise NotASubmission("there is no code in this attempt")
        counts = (self.tokens, self.duration_s, self.prompt_tokens or 0, self.n_calls or 0)
        if min(counts) < 0 or abs(self.seed or 0) > _MAX_INTEGER:
            raise NotASubmission("tokens and duration are not negative, and a seed has at most 63 bits")
        if self.cost_usd is not None and not 0 <= self.cost_usd < math.inf:
            raise NotASubmission(f"a cost is an amount of US dollars from 0 on; not {self.cost_usd}")
        return {
            "attempt_key": self.attempt_key,
            "config": storable(self.config),
            "messages": storable(messages),
            "generation_seed": self.seed,
            "backend": storable(self.backend)[:200],
            "models": json.dumps([storable(model)[:200] for model in self.models]),
            "reply": storable(self.reply),
            "code": storable(self.code),
            "tokens": min(self.tokens, 2**31 - 1),
            "duration_ms": min(round(self.duration_s * 1000), 2**31 - 1),
            "prompt_tokens": None if self.prompt_tokens is None else min(self.prompt_tokens, 2**31 - 1),
            "n_calls": None if self.n_calls is None else min(self.n_calls, 2**31 - 1),
            "strategy": None if self.strategy is None else storable(self.strategy)[:80],
            "cost_usd": self.cost_usd,
        }


def _check_config(text: str) -> None:
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise NotASubmission(f"the configuration is not JSON: {exc}") from exc
    if not isinstance(parsed, dict):
        raise NotASubmission("the configuration is not a JSON object")


def storable(text: str) -> str:
    """`text` without what no database keeps (NUL, halves of surrogate pairs); they become U+FFFD."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")


@dataclass(frozen=True)
class Submission:
    """A submission without its texts, with its current grade; None while it waits for one.

    cost_usd: US dollars of the calls whose price was known; None where none was.
    """

    id: int
    round_id: int
    participant_id: int
    created_ms: int
    tokens: int
    duration_ms: int
    cost_usd: float | None
    score: float | None
    max_score: float | None
    grade_id: int | None

    @property
    def is_graded(self) -> bool:
        """Whether it has a grade."""
        return self.grade_id is not None


@dataclass(frozen=True)
class Provenance:
    """How a submission came about, and the report on it."""

    id: int
    participant_id: int
    config: str
    messages: tuple[dict[str, str], ...]
    seed: int | None
    backend: str
    models: tuple[str, ...]
    reply: str
    code: str
    report: dict[str, Any] | None


@dataclass(frozen=True)
class GradingJob:
    """A submission that waits for a grade, or for another one."""

    submission_id: int
    participant_id: int
    round_id: int
    code: str
    challenge: str
    seed: int
    supersedes_id: int | None


FinalState = Literal["running", "cancelled", "capped", "done"]
"""cancelled: by the host; capped: the next runs would cost more than the cap. Both can go on."""


@dataclass(frozen=True)
class Final:
    """A final of a round; see `models.FinalRow` for the fields."""

    id: int
    round_id: int
    seeds: tuple[int, ...]
    state: FinalState
    prompt_price: float | None
    completion_price: float | None
    cost_cap: float | None
    created_ms: int
    ended_ms: int | None
    released_ms: int | None

    def cost(self, prompt_tokens: int, tokens: int) -> float:
        """What so many tokens cost, in dollars."""
        dollars = prompt_tokens * (self.prompt_price or 0.0) + tokens * (self.completion_price or 0.0)
        return dollars / 1_000_000


@dataclass(frozen=True)
class FinalJob:
    """One entry to run on one seed. expected_prompt_tokens, expected_tokens: what its submission took."""

    final_id: int
    entry_id: int
    number: int
    seed: int
    challenge: str
    config: str
    messages: tuple[dict[str, str], ...]
    expected_prompt_tokens: int
    expected_tokens: int


@dataclass(frozen=True)
class SetupRun:
    """What a setup wrote on a seed. problem: why it wrote nothing; "" when it did."""

    reply: str
    prompt_tokens: int
    tokens: int
    duration_s: float
    problem: str = ""
