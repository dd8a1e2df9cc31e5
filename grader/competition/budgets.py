"""Budgets as rules of the game: what an attempt may use, and classes of budget with boards of their own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grader.competition.errors import Refused
from grader.words import count

MAX_NAMES, NAME_CHARS = 50, 200
MAX_CLASSES = 5
_LIMITS = ("tokens", "calls", "dollars", "prompt_price", "completion_price")


@dataclass(frozen=True)
class Use:
    """What an attempt used, or would use. tokens: written in all. None: not known, so not held against it."""

    tokens: int | None
    calls: int | None
    models: Sequence[str]
    strategy: str | None
    dollars: float = 0.0


@dataclass(frozen=True)
class RoundBudget:
    """A round's limits; None or empty for what is free.

    tokens, calls: per attempt. models, strategies: those that are allowed. dollars: per participant, over all
    submissions, at so many dollars a million tokens read (prompt_price) and written (completion_price).
    classes: (name, most tokens) of the boards for thrifty attempts, such as ("under 2,000 tokens", 2000).
    """

    tokens: int | None = None
    calls: int | None = None
    models: tuple[str, ...] = ()
    strategies: tuple[str, ...] = ()
    dollars: float | None = None
    prompt_price: float | None = None
    completion_price: float | None = None
    classes: tuple[tuple[str, int], ...] = ()

    def __post_init__(self) -> None:
        for name in _LIMITS:
            value = getattr(self, name)
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if value is not None and not (is_number and 0 <= value < 1e9):
                raise Refused(f"a budget's {name} is a number from 0 to a billion; not {str(value)[:40]}")
        for names in (self.models, self.strategies):
            if len(names) > MAX_NAMES or not all(_is_name(name) for name in names):
                raise Refused(f"a budget allows at most {MAX_NAMES} models or strategies by name")
        if len(self.classes) > MAX_CLASSES or not all(_is_name(n) and _is_count(t) for n, t in self.classes):
            raise Refused(f"a round has at most {MAX_CLASSES} classes: a name and most tokens each")
        if self.dollars is not None and self.prompt_price is None and self.completion_price is None:
            raise Refused("a budget in dollars needs the price of a million tokens")

    @classmethod
    def from_json(cls, text: str) -> RoundBudget:
        """Read what `to_json` wrote. Raises Refused for anything else."""
        try:
            data = json.loads(text)
            for name in ("models", "strategies"):
                data[name] = tuple(data.get(name, ()))
            data["classes"] = tuple((name, tokens) for name, tokens in data.get("classes", ()))
            return cls(**data)
        except (ValueError, TypeError, AttributeError, RecursionError) as exc:
            if isinstance(exc, Refused):
                raise
            raise Refused("this is no budget of a round") from exc

    def to_json(self) -> str:
        """Only what is limited."""
        return json.dumps({name: value for name, value in vars(self).items() if value not in (None, ())})

    def cost(self, prompt_tokens: int | None, tokens: int) -> float:
        """What an attempt costs, in dollars."""
        prices = (self.prompt_price or 0.0, self.completion_price or 0.0)
        return ((prompt_tokens or 0) * prices[0] + tokens * prices[1]) / 1_000_000

    def problems(self, use: Use) -> list[str]:
        """What an attempt has too much of, in words; empty when it keeps to the budget."""
        found = []
        for what, used, most in (
            ("tokens", use.tokens, self.tokens),
            ("calls", use.calls, self.calls),
        ):
            if most is not None and used is not None and used > most:
                found.append(f"{used:,} {what} where {most:,} are allowed")
        strangers = [model for model in dict.fromkeys(use.models) if self.models and model not in self.models]
        if strangers:
            found.append(f"{', '.join(strangers)} where only {', '.join(self.models)} may be used")
        if self.strategies and use.strategy is not None and use.strategy not in self.strategies:
            found.append(f"the strategy {use.strategy} where only {', '.join(self.strategies)} may be used")
        if self.dollars is not None and use.dollars > self.dollars:
            found.append(f"{use.dollars:.2f} dollars in all where {self.dollars:.2f} are allowed")
        return found

    @property
    def rules(self) -> list[str]:
        """The limits in words, for a list of rules."""
        said = []
        if self.tokens is not None:
            said.append(f"at most {count(self.tokens, 'token')} written an attempt")
        if self.calls is not None:
            said.append(f"at most {count(self.calls, 'call')}")
        if self.models:
            said.append(f"models: {', '.join(self.models)}")
        if self.strategies:
            said.append(f"strategies: {', '.join(self.strategies)}")
        if self.dollars is not None:
            said.append(f"{self.dollars:.2f} dollars each")
        return said


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= NAME_CHARS and value.isprintable()


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**9


def use_of(columns: Mapping[str, Any], dollars: float) -> Use:
    """What a submission used, from its columns."""
    models = json.loads(columns["models"])
    return Use(columns["tokens"], columns["n_calls"], models, columns["strategy"], dollars)
