"""Lists of people of each kind, and the reference that knows the calendar."""

from __future__ import annotations

import calendar
import unicodedata
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from grader.grading.challenge import Args, Challenge, Check, Plan, cached_plan, remove_items
from grader.grading.judges import cap_idle, fixed_and_drawn, judge_equal, mutation_family
from grader.grading.random_source import Draws

CHECKS = (
    Check("coming_days", "calendar", 20, "From today to the last day.", "Both ends are included."),
    Check("ages", "calendar", 10, "The age reached.", "Take the year of the birthday, not today's."),
    Check("across_new_year", "calendar", 10, "Birthdays of the next year.", "Look at two years."),
    Check("leap_days", "calendar", 15, "Born on 29 February.", "It is 28 February without a 29th."),
    Check("not_yet_born", "calendar", 5, "Nobody before birth.", "The day of birth is no birthday."),
    Check(
        "blanks_in_names", "text", 10, "Blanks of every kind.", "str.split() knows them; U+200B it does not."
    ),
    Check("composed_names", "text", 10, "Accents composed.", "unicodedata.normalize('NFC', name)."),
    Check("same_person_twice", "text", 10, "Once each.", "Compare cleaned names by casefold()."),
    Check("order", "text", 5, "By date, name, birth.", "Sort by the folded name."),
    Check("doesnt_mutate_input", "edge_cases", 5, "The list stays as it was.", "Build a new list."),
)
_NAMES = ("Ada", "Ben", "Cem", "Dora", "Eli", "Fay", "Gus", "Hal", "Ida", "Jo", "Kim", "Lea")
_ZERO_WIDTH = {0x200B: None, 0xFEFF: None}
_BLANKS = (" ", "  ", "\t", "\u00a0", "\u2003", "\u3000", "\n", "\u2009 ", "\r\n")
_ACCENTED = (
    "José",
    "Zoë",
    "Ångström",
    "Łukasz",
    "Nguyễn",
    "Čapek",
    "Ünal",
    "Ἀριστοτέλης",
    "김민수",
    "Šárka",
    "ﬁona",
    "Ⅳ",
)
_FOLDED = (
    ("Strauß", "STRAUSS"),
    ("ΣΟΦΟΣ", "σοφος"),
    ("İnci", "i̇nci"),
    ("José", "JOSÉ"),
    ("Groß", "gross"),
    ("ŠÁRKA", "šárka"),
)
"""The same names to `str.casefold`; `str.lower` does not know all of them."""


def clean(name: str) -> str:
    """The name as the brief wants it."""
    return unicodedata.normalize("NFC", " ".join(name.translate(_ZERO_WIDTH).split()))


def birthday_in(born: date, year: int) -> date:
    """The day of that year on which the birthday is celebrated."""
    is_moved = (born.month, born.day) == (2, 29) and not calendar.isleap(year)
    return date(year, 2, 28) if is_moved else date(year, born.month, born.day)


def birthdays(people: Sequence[Sequence[str]], today: str, days: int) -> list[list[Any]]:
    """The reference."""
    start = date.fromisoformat(today)
    rows, seen = [], set()
    for name, text in people:
        cleaned, born = clean(name), date.fromisoformat(text)
        if (cleaned.casefold(), text) in seen:
            continue
        seen.add((cleaned.casefold(), text))
        years = range(max(start.year, born.year + 1), start.year + 3)
        coming = [birthday for year in years if (birthday := birthday_in(born, year)) >= start]
        if coming and coming[0] <= start + timedelta(days):
            rows.append((coming[0], cleaned.casefold(), text, cleaned))
    return [[day.isoformat(), name, day.year - int(born[:4])] for day, _, born, name in sorted(rows)]


def _fewer(args: Args) -> Iterator[Args]:
    return ((people, *args[1:]) for people in remove_items(args[0]))


def _born(draws: Draws, birthday: date) -> str:
    """A birth years ago on the same day of the year."""
    return f"{birthday.year - draws.integer(3, 90):04d}-{birthday.isoformat()[5:]}"


def _plain_day(draws: Draws, first: int = 3, last: int = 8) -> date:
    """A day far from New Year and from the end of February."""
    return date(draws.integer(1995, 2040), draws.integer(first, last), draws.integer(5, 28))


def _group(draws: Draws, start: date, offsets: Sequence[int], names: Sequence[str] = ()) -> list[list[str]]:
    """One person per offset; birthdays on different days, so that no order of names matters."""
    chosen = list(names) or draws.sample(_NAMES, len(offsets))
    people = [[name, _born(draws, start + timedelta(n))] for name, n in zip(chosen, offsets, strict=False)]
    draws.shuffle(people)
    return people


def _coming(draws: Draws, number: int) -> Args:
    """Birthdays today, on the last day, and on the days before and after."""
    start, days = _plain_day(draws), (0, 1, 7, 30, 60)[number % 5]
    offsets = sorted({-1, 0, days, days + 1, draws.integer(0, days), days + draws.integer(2, 20)})
    return (_group(draws, start, offsets), start.isoformat(), days)


def _ages(draws: Draws, number: int) -> Args:
    """A look over the end of the year: half of the birthdays are in the next one."""
    start = date(draws.integer(1995, 2040), 12, draws.integer(10, 25))
    return (_group(draws, start, [1, 5, 30, 40]), start.isoformat(), 60)


def _new_year(draws: Draws, number: int) -> Args:
    start = date(draws.integer(1995, 2040), 12, (31, 28, 5)[number % 3])
    people = [
        [name, f"{draws.integer(1930, 1990)}-{day}"]
        for name, day in zip(draws.sample(_NAMES, 4), ("01-01", "12-31", "01-20", "11-30"), strict=True)
    ]
    return (people, start.isoformat(), (1, 30, 366)[number % 3])


def _leap(draws: Draws, number: int) -> Args:
    """Leap years, others, and 2100, which is none; today before, on and after the day."""
    year = (2023, 2024, 2100, 2000, 2028, 1995)[number % 6]
    start = date(year, 2, (20, 28)[number % 2]) if number % 5 else date(year, 3, 1)
    names = draws.sample(_NAMES, 3)
    born = [f"{draws.choice([1904, 1936, 1972, 1984])}-02-29", "1950-02-27", "1961-03-02"]
    return (
        [[name, day] for name, day in zip(names, born, strict=True)],
        start.isoformat(),
        (1, 10, 366, 0)[number % 4],
    )


def _unborn(draws: Draws, number: int) -> Args:
    """Born today, tomorrow, next year or just yesterday."""
    start = _plain_day(draws)
    names = draws.sample(_NAMES, 4)
    offsets = (0, 1, draws.integer(2, 300), -1)
    people = [[name, (start + timedelta(n)).isoformat()] for name, n in zip(names, offsets, strict=True)]
    return (people, start.isoformat(), draws.choice([10, 200, 360]))


def _with_blanks(draws: Draws, number: int) -> Args:
    start = _plain_day(draws)
    blank = _BLANKS[number % len(_BLANKS)]
    hidden = ("\u200b", "\ufeff", "")[number % 3]
    names = [f"{blank}Ada{hidden}{blank}Lovelace", f"Ben{blank}{hidden}{blank}Ali{blank}", f"{hidden}Cem"]
    return (_group(draws, start, [1, 2, 3], names), start.isoformat(), 7)


def _accented(draws: Draws, number: int) -> Args:
    """Composed and decomposed spellings; ligatures and Roman numerals must stay as they are."""
    start = _plain_day(draws)
    names = [_ACCENTED[(number + step) % len(_ACCENTED)] for step in range(3)]
    typed = [unicodedata.normalize("NFD", name) if draws.chance(0.7) else name for name in names]
    return (_group(draws, start, [1, 2, 3], typed), start.isoformat(), 7)


def _twice(draws: Draws, number: int) -> Args:
    """The same person in two spellings, and others of that name or that day."""
    start = _plain_day(draws)
    first, second = _FOLDED[number % len(_FOLDED)]
    if number % 2:
        first, second = second, first
    born, other = _born(draws, start + timedelta(2)), _born(draws, start + timedelta(4))
    spelled = unicodedata.normalize("NFD", second) if number % 3 else f" {second}\u200b"
    people = [[first, born], [spelled, born], [first, other], ["Ada", start.isoformat()]]
    return (people, start.isoformat(), 7)


def _same_day(draws: Draws, number: int) -> Args:
    """Several people on one day: upper and lower case, the same name born in other years."""
    start = _plain_day(draws)
    day = (start + timedelta(3)).isoformat()[5:]
    names = ["ada", "Ben", "cem", "Dora", "Emil", "emil"]
    people = [[name, f"{1940 + 7 * place + draws.integer(0, 5)}-{day}"] for place, name in enumerate(names)]
    people.append([draws.choice(["Zoe", "anna"]), f"1990-{start.isoformat()[5:]}"])
    draws.shuffle(people)
    return (people, start.isoformat(), 5)


@cached_plan
def plan(seed: int) -> Plan:
    """Fixed and drawn lists for every check."""
    judge = judge_equal(birthdays)

    def check(name: str, fixed: dict[str, Args], one: Any, count: int = 24) -> Any:
        draws = Draws(seed, name)
        return fixed_and_drawn(judge, fixed, [one(draws, number) for number in range(count)], _fewer)

    leapling, day = [["Lea", "2004-02-29"]], "2026-05-10"
    return {
        "coming_days": check(
            "coming",
            {"today and the last day": ([["Ada", "1990-05-10"], ["Ben", "1990-05-17"]], day, 7)},
            _coming,
            30,
        ),
        "ages": check("ages", {"next year": ([["Ada", "2000-01-05"]], "2025-12-20", 30)}, _ages),
        "across_new_year": check(
            "new year", {"on New Year's Eve": ([["Ada", "1990-01-01"]], "2025-12-31", 1)}, _new_year
        ),
        "leap_days": check(
            "leap",
            {
                "in a common year": (leapling, "2026-02-20", 10),
                "in a leap year": (leapling, "2028-02-20", 10),
                "the 28th of a leap year": (leapling, "2028-02-28", 0),
            },
            _leap,
            30,
        ),
        "not_yet_born": check("unborn", {"born today": ([["Ada", day]], day, 300)}, _unborn),
        "blanks_in_names": check(
            "blanks",
            {"a no-break space": ([[" Ada\u00a0 Lovelace ", "1990-05-12"]], day, 7)},
            _with_blanks,
            27,
        ),
        "composed_names": check(
            "accents", {"e and an accent": ([["Jose\u0301", "1990-05-12"]], day, 7)}, _accented
        ),
        "same_person_twice": check(
            "twice", {"in capitals": ([["Groß", "1990-05-12"], ["GROSS", "1990-05-12"]], day, 7)}, _twice
        ),
        "order": check(
            "order",
            {"on one day": ([["ben", "1990-05-12"], ["Cem", "1980-05-12"], ["Ada", "1970-05-12"]], day, 7)},
            _same_day,
        ),
        "doesnt_mutate_input": (
            mutation_family(
                [_coming(Draws(seed, "kept"), number) for number in range(6)], "the caller's list"
            ),
        ),
    }


CHALLENGE = Challenge(
    name="birthdays",
    title="Whose birthday comes next",
    function_name="birthdays",
    signature="birthdays(people, today, days)",
    checks=CHECKS,
    plan=plan,
    folder=Path(__file__).parent,
    reference=birthdays,
    settle=cap_idle(("doesnt_mutate_input", "not_yet_born")),
)
