"""The report: what a submission scored, check by check, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from grader.errors import BadReport

LETTERS = ((90.0, "A"), (80.0, "B"), (70.0, "C"), (60.0, "D"))
"""Lowest percentage of each letter, best first; below the last one it is an F."""


def letter(percentage: float) -> str:
    """The letter for a percentage: A from 90, B from 80, C from 70, D from 60, else F."""
    return next((name for lowest, name in LETTERS if percentage >= lowest), "F")


@dataclass(frozen=True)
class CaseResult:
    """One kind of case within a check, and the smallest input found that fails it.

    status: "passed", "failed", or "excused" when another check already charges that bug.
    input, got, expected: text, shortened to fit a screen; empty for a case that passed.
    line: line of the submission that raised the exception or made the wrong value; 0 when nobody can tell.
    """

    name: str
    status: str
    runs: int
    input: str = ""
    got: str = ""
    expected: str = ""
    line: int = 0


@dataclass(frozen=True)
class CheckResult:
    """What one check paid and why. score and max_score are points."""

    name: str
    category: str
    score: float
    max_score: float
    message: str
    cases: tuple[CaseResult, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the check paid all its points."""
        return self.score == self.max_score


@dataclass(frozen=True)
class Report:
    """What a submission scored.

    refusal: why nothing was run (forbidden move, no such function, too large), else None.
    notes: what the participant should know beside the checks, in plain sentences.
    sandbox: the isolation measures that were active while the submission ran.
    The same source, challenge and seed give the same report; only `sandbox` depends on the machine.
    """

    challenge: str
    seed: int
    checks: tuple[CheckResult, ...]
    refusal: str | None = None
    notes: tuple[str, ...] = ()
    sandbox: tuple[str, ...] = ()

    @property
    def score(self) -> float:
        """Points in all, to two decimals."""
        return round(sum(check.score for check in self.checks), 2)

    @property
    def max_score(self) -> float:
        """The points a flawless submission gets."""
        return round(sum(check.max_score for check in self.checks), 2)

    @property
    def percentage(self) -> float:
        """Score as a percentage of the maximum, to one decimal."""
        return round(100 * self.score / self.max_score, 1) if self.max_score else 0.0

    @property
    def letter(self) -> str:
        """A to F, by the unrounded percentage."""
        return letter(100 * self.score / self.max_score if self.max_score else 0.0)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data; `from_dict` reads it back."""
        return {
            "challenge": self.challenge,
            "seed": self.seed,
            "score": self.score,
            "max_score": self.max_score,
            "percentage": self.percentage,
            "letter": self.letter,
            "refusal": self.refusal,
            "notes": list(self.notes),
            "checks": [
                {**asdict(check), "passed": check.passed, "cases": [asdict(case) for case in check.cases]}
                for check in self.checks
            ],
            "sandbox": list(self.sandbox),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Report:
        """Read what `to_dict` wrote; totals are computed anew. Raises BadReport on another shape."""
        try:
            return cls(
                challenge=str(data["challenge"]),
                seed=int(data["seed"]),
                checks=tuple(_check_from(check) for check in data["checks"]),
                refusal=data.get("refusal"),
                notes=tuple(data.get("notes", ())),
                sandbox=tuple(data.get("sandbox", ())),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as exc:
            raise BadReport(f"this is not a report of the grader: {exc!r}") from exc


def _check_from(data: Mapping[str, Any]) -> CheckResult:
    cases = tuple(CaseResult(**case) for case in data.get("cases", ()))
    return CheckResult(
        name=str(data["name"]),
        category=str(data["category"]),
        score=float(data["score"]),
        max_score=float(data["max_score"]),
        message=str(data["message"]),
        cases=cases,
    )
