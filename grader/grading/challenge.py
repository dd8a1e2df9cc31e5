"""What a challenge is: texts, checks with points, and the cases each check runs.

A challenge is one folder in `grader/challenges/` whose package exports `CHALLENGE`. A check is a set of
families (kinds of cases); points are shared over the families by weight, and a family passes when every
one of its inputs, fixed and drawn, is answered correctly.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

Args = tuple[Any, ...]
"""Positional arguments of one call: JSON values (dict, list, str, int, float, bool, None)."""

DEFAULT_SEED = 2024
"""Draws the cases when no seed is given, so that `score` says the same to everyone."""


@dataclass(frozen=True)
class Opaque:
    """Stands for a returned object that is no plain value: only its type's name came out of the child."""

    type_name: str

    def __repr__(self) -> str:
        return f"<{self.type_name}>"


@dataclass(frozen=True)
class Outcome:
    """What one call of the submission came to.

    kind: "value", "raised" (an exception), "died" (the process ended), "timeout", "overrun" (more steps than
    allowed), or "not_run".

    value: the plain value that came back, parsed outside the child. mutated: the input was changed.

    error: exception type, or how the process died. line: line of the submission that raised, or of the
    `return` that gave the value; 0 when unknown.
    detail: e.g. the key a KeyError names. steps: counted operations, or the budget of an overrun.
    """

    kind: str
    value: Any = None
    error: str = ""
    line: int = 0
    detail: str = ""
    mutated: bool = False
    steps: int | None = None

    @property
    def ok(self) -> bool:
        """Whether the call returned."""
        return self.kind == "value"


@dataclass(frozen=True)
class FunctionCall:
    """One call of the function. counted: count its operations; budget_of: index of the call it is held
    against."""

    args: Args
    counted: bool = False
    growth: float | None = None

    @cached_property
    def text(self) -> bytes:
        """The arguments as one line of JSON."""
        return json.dumps(list(self.args), separators=(",", ":")).encode()


@dataclass(frozen=True)
class Fault:
    """Why a case failed. kind: "crash", "timeout", "shape", "wrong", "mutated" or "slow".

    got, expected: short text for the student. outcome: the call that failed.
    about: what the fault concerns, for `Challenge.settle` (a field's name, an exception's type).
    """

    kind: str
    got: str
    expected: str
    outcome: Outcome | None = None
    about: str = ""


Judge = Callable[[Args, Sequence[Outcome]], Fault | None]


def one_call(args: Args) -> tuple[FunctionCall, ...]:
    """The usual plan of a case: call the function once with the case's arguments."""
    return (FunctionCall(args),)


def no_shrink(args: Args) -> Iterator[Args]:
    """For inputs that cannot sensibly get smaller."""
    return iter(())


@dataclass(frozen=True)
class Input:
    """Arguments a family is tried with. public: shown in the app; drawn: came from the seed."""

    args: Args
    public: bool = False
    drawn: bool = False
    note: str = ""


@dataclass(frozen=True)
class Family:
    """One kind of case: its inputs, the calls each input needs, and who judges the outcomes.

    shrink yields smaller arguments of the same kind, most promising first. joint: families of one check
    that share this word earn their points only together. judges_mutation: every call of the grade that
    changed its input fails it.
    """

    name: str
    inputs: tuple[Input, ...]
    judge: Judge
    weight: float = 1.0
    calls: Callable[[Args], tuple[FunctionCall, ...]] = one_call
    shrink: Callable[[Args], Iterator[Args]] = no_shrink
    judges_mutation: bool = False
    joint: str = ""

    @cached_property
    def planned(self) -> tuple[tuple[FunctionCall, ...], ...]:
        """The calls of every input, made once."""
        return tuple(self.calls(each.args) for each in self.inputs)


@dataclass(frozen=True)
class Check:
    """One line of the report. points: what it pays in all; hint: what to do about it, for the student."""

    name: str
    category: str
    points: float
    description: str
    hint: str = ""


@dataclass(frozen=True)
class PublicCase:
    """An example shown in the app: named arguments and the right answer."""

    check: str
    name: str
    input: Mapping[str, Any]
    expected: Any


@dataclass
class Verdict:
    """How one family went while a grade is being settled; `Challenge.settle` may excuse a fault.

    faults: each failed input and why. seen: every input with its outcomes. excuse: the check that already
    charges.
    """

    check: str
    family: Family
    faults: list[tuple[Input, Fault]] = field(default_factory=list)
    seen: list[tuple[Args, Sequence[Outcome]]] = field(default_factory=list)
    excuse: str = ""

    @property
    def status(self) -> str:
        """passed, failed or excused."""
        if not self.faults:
            return "passed"
        return "excused" if self.excuse else "failed"


@dataclass(frozen=True)
class Cap:
    """The most a check pays, whatever its families earned.

    share: of its points, 0 to 1. reason: a sentence for the student.
    """

    share: float
    reason: str


Plan = Mapping[str, tuple[Family, ...]]
Settle = Callable[[Mapping[str, list[Verdict]]], Mapping[str, Cap]]


def settle_nothing(verdicts: Mapping[str, list[Verdict]]) -> Mapping[str, Cap]:
    """Every fault counts, every check pays in full what its families earned."""
    return {}


@dataclass(frozen=True)
class Challenge:
    """A task for the agents and everything needed to score an answer to it.

    plan(seed): the families of each check, by check name. settle(verdicts): marks excused faults and
    returns a cap for the checks that must not pay in full.

    fields: for what a fault can be about, the key of the returned dict that is wrong; so the report names the
    line in which it was made.

    Tasks of an imported pack have no folder of their own: test is the source of a `check(candidate)` that
    decides alone, preamble what must stand before the submission, and texts holds "brief" and "baseline".
    """

    name: str
    title: str
    function_name: str
    signature: str
    checks: tuple[Check, ...]
    plan: Callable[[int], Plan]
    folder: Path
    reference: Callable[..., Any] | None = None
    settle: Settle = settle_nothing
    test: str = ""
    preamble: str = ""
    texts: Mapping[str, str] = field(default_factory=dict, hash=False)
    fields: Mapping[str, str] = field(default_factory=dict, hash=False)

    @cached_property
    def brief(self) -> str:
        """The task as Markdown."""
        return self.texts.get("brief") or (self.folder / "brief.md").read_text(encoding="utf-8")

    @cached_property
    def baseline(self) -> str:
        """A first attempt with the classic bugs, as source text; never executed outside the sandbox."""
        return self.texts.get("baseline") or (self.folder / "baseline.txt").read_text(encoding="utf-8")

    @property
    def max_score(self) -> float:
        """The points of all checks."""
        return sum(check.points for check in self.checks)

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """Names of the function's parameters, from the signature."""
        inner = self.signature.partition("(")[2].rpartition(")")[0]
        return tuple(
            part.partition(":")[0].partition("=")[0].strip() for part in inner.split(",") if part.strip()
        )

    @cached_property
    def public_cases(self) -> tuple[PublicCase, ...]:
        """The fixed cases shown in the app, with the reference's answer."""
        return tuple(
            PublicCase(
                name,
                _public_name(family, each),
                dict(zip(self.parameters, each.args, strict=False)),
                self._answer(each),
            )
            for name, families in self.plan(DEFAULT_SEED).items()
            for family in families
            for each in family.inputs
            if each.public
        )

    def _answer(self, each: Input) -> Any:
        return self.reference(*json.loads(json.dumps(each.args))) if self.reference else None


def _public_name(family: Family, each: Input) -> str:
    return each.note or family.name


def remove_items(items: Sequence[Any]) -> Iterator[list[Any]]:
    """Smaller lists: one half, the other half, then each item left out."""
    size = len(items)
    if size > 2:
        yield list(items[: size // 2])
        yield list(items[size // 2 :])
    for index in range(size if size <= 40 else 0):
        yield [*items[:index], *items[index + 1 :]]


def cached_plan(plan: Callable[[int], Plan]) -> Callable[[int], Plan]:
    """Draw each seed's plan once; plans are shared and never written to."""
    return lru_cache(maxsize=8)(plan)
