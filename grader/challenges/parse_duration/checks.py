"""Texts of each kind, and the reference that says what they mean."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from grader.grading.challenge import Args, Challenge, Check, Plan, cached_plan
from grader.grading.judges import cap_idle, fixed_and_drawn, judge_equal
from grader.grading.random_source import Draws

SECONDS = {"d": 86_400, "h": 3600, "m": 60, "s": 1}
_NUMBER = r"(\d+\.?\d*|\.\d+)"
_PATTERN = re.compile(r"\s*".join(rf"(?:{_NUMBER}\s*{unit})?" for unit in SECONDS), re.ASCII | re.IGNORECASE)

CHECKS = (
    Check("single_units", "parsing", 20, "One number with one unit.", "Map each unit to its seconds."),
    Check("combined_units", "parsing", 20, "Several units, large to small.", "Add up the parts."),
    Check(
        "blanks_and_case", "parsing", 15, "Blanks and capitals change nothing.", "Normalise the text first."
    ),
    Check(
        "plain_numbers", "parsing", 10, "A number alone means seconds.", "Treat a missing unit as seconds."
    ),
    Check(
        "fractions", "parsing", 10, "Decimal fractions, rounded at the end.", "Use float() and round the sum."
    ),
    Check(
        "rejects_nonsense", "robustness", 20, "Text that is no duration gives None.", "Match the whole text."
    ),
    Check(
        "rejects_other_types",
        "robustness",
        5,
        "What is no text gives None.",
        "Test with isinstance(text, str).",
    ),
)


def parse_duration(text: Any) -> int | None:
    """The reference."""
    if not isinstance(text, str) or not text.strip():
        return None
    plain = text.strip()
    if re.fullmatch(_NUMBER, plain, re.ASCII):
        return _round(Fraction(_decimal(plain)))
    match = _PATTERN.fullmatch(plain)
    if not match or not any(match.groups()):
        return None
    parts = zip(match.groups(), SECONDS.values(), strict=True)
    return _round(
        sum((Fraction(_decimal(number)) * seconds for number, seconds in parts if number), Fraction(0))
    )


def _decimal(number: str) -> str:
    return f"0{number}0" if number.startswith(".") else f"{number}0" if number.endswith(".") else number


def _round(seconds: Fraction) -> int:
    return int(seconds + Fraction(1, 2))


def _shorter(args: Args) -> Iterator[Args]:
    """The text with one character less."""
    text = args[0]
    if isinstance(text, str):
        for index in range(min(len(text), 30)):
            yield (text[:index] + text[index + 1 :],)


def _combined(draws: Draws, least: int) -> list[str]:
    units = [unit for unit in SECONDS if draws.chance(0.6)]
    while len(units) < least:
        units = [unit for unit in SECONDS if draws.chance(0.6)]
    return [f"{draws.integer(0, 99)}{unit}" for unit in units]


def _spaced(draws: Draws) -> str:
    parts = []
    for part in _combined(draws, 1):
        number, unit = part[:-1], part[-1]
        parts.append(number + " " * draws.integer(0, 2) + (unit.upper() if draws.chance(0.5) else unit))
    return " " * draws.integer(0, 2) + (" " * draws.integer(1, 2)).join(parts) + " " * draws.integer(0, 2)


def _fraction(draws: Draws) -> str:
    quarter = draws.choice(["25", "5", "75"])
    return f"{draws.integer(0, 40)}.{quarter}{draws.choice(['d', 'h', 'm'])}"


def _nonsense(draws: Draws, number: int) -> str:
    """A good text with one thing wrong, which the number chooses."""
    good = "".join(_combined(draws, 2))
    kinds = (
        f"-{good}",
        f"{good}!",
        f"{good}{draws.integer(1, 9)}",
        f"{good}{draws.integer(1, 9)}d",
        f"{good}{draws.integer(1, 9)}{good[-1]}",
        f"{draws.integer(1, 9)}s{good}",
        good.replace(good[-1], "x"),
        f"{good} and more",
        f"h{good}",
        f"{good[:-1]}..5{good[-1]}",
    )
    return kinds[number % len(kinds)]


@cached_plan
def plan(seed: int) -> Plan:
    """Fixed and drawn texts for every check."""
    judge = judge_equal(parse_duration)

    def draw(purpose: str, count: int, one: Any) -> list[Args]:
        draws = Draws(seed, purpose)
        return [(one(draws),) for _ in range(count)]

    def check(fixed: list[Any], drawn: list[Args]) -> Any:
        return fixed_and_drawn(judge, {repr(text): (text,) for text in fixed}, drawn, _shorter)

    wrong = Draws(seed, "nonsense")
    nonsense: list[Args] = [(_nonsense(wrong, number),) for number in range(50)]
    single = draw("single", 30, lambda d: f"{d.integer(0, 5000)}{d.choice('dhms')}")
    return {
        "single_units": check(["45s", "10m", "3h", "2d"], single),
        "combined_units": check(
            ["1h30m", "1d2h3m4s", "2d5s"], draw("many", 40, lambda d: "".join(_combined(d, 2)))
        ),
        "blanks_and_case": check([" 1H 30M ", "5 m", "1d  2h"], draw("blanks", 40, _spaced)),
        "plain_numbers": check(["90", "0", "007"], draw("plain", 20, lambda d: str(d.integer(0, 10**6)))),
        "fractions": check(["1.5h", ".5m", "0.25d"], draw("fractions", 30, _fraction)),
        "rejects_nonsense": check(
            ["", "soon", "5x", "h", "-5m", "1h 1h", "30m1h", "1h30", "1..5h"], nonsense
        ),
        "rejects_other_types": check([None, 90, ["1h"]], [({"h": 1},), (1.5,), (True,)]),
    }


CHALLENGE = Challenge(
    name="parse_duration",
    title="Parse a duration",
    function_name="parse_duration",
    signature="parse_duration(text)",
    checks=CHECKS,
    plan=plan,
    folder=Path(__file__).parent,
    reference=parse_duration,
    settle=cap_idle(("rejects_nonsense", "rejects_other_types")),
)
