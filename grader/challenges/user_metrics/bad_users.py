"""Bad users beside healthy ones: the same calls with and without them, four users at most."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from grader.challenges.user_metrics import judging_pairs
from grader.challenges.user_metrics.draws import Range, User, date_before, draw_active, draw_range
from grader.challenges.user_metrics.inputs import ANNA, BEN, YEAR, make_args, smaller, some_left, user
from grader.challenges.user_metrics.reference import KEYS
from grader.grading.challenge import Args, Family, Fault, FunctionCall, Input, Outcome
from grader.grading.random_source import Draws

_NUMERIC = KEYS[1:]
_NO_DATES = ("not-a-date", "unknown", "never", "n/a", "31/12/2024", "yesterday", "99/99/9999", 12345, 0)


Spoil = Callable[[Draws, User], Any]
IsBad = Callable[[Any], bool]


def _placed(draws: Draws, dates: Range, spoilers: Sequence[Spoil], place: int) -> list[Any]:
    """Healthy users with the spoiled ones first (0), in the middle (1) or last (2); four in all at most."""
    healthy: list[Any] = draw_active(draws, dates, draws.integer(2, 4 - len(spoilers)))
    bad = [spoil(draws, draw_active(draws, dates, 1)[0]) for spoil in spoilers]
    at = (0, 1, len(healthy))[place]
    return [*healthy[:at], *bad, *healthy[at:]]


def _alone(is_bad: IsBad) -> Callable[[Args], tuple[FunctionCall, ...]]:
    def calls(args: Args) -> tuple[FunctionCall, ...]:
        return (FunctionCall(args), FunctionCall(([each for each in args[0] if not is_bad(each)], *args[1:])))

    return calls


def _beside_judge(is_bad: IsBad, **options: bool) -> Callable[[Args, Sequence[Outcome]], Fault | None]:
    def judge(args: Args, outcomes: Sequence[Outcome]) -> Fault | None:
        return judging_pairs.judge_beside(outcomes, sum(map(is_bad, args[0])), **options)

    return judge


def _keep_bad(is_bad: IsBad) -> Callable[[Args], Iterator[Args]]:
    """Smaller lists that still hold a bad user and a healthy one."""
    return lambda args: smaller(args, lambda users: any(map(is_bad, users)) and not all(map(is_bad, users)))


def _bad_families(
    seed: int,
    purpose: str,
    kinds: dict[str, Sequence[Spoil]],
    is_bad: IsBad,
    rounds: int,
    share: float = 1.0,
    outside: Sequence[Spoil] = (),
    **options: bool,
) -> tuple[Family, ...]:
    """A fixed family per kind (bad user first, in the middle, last) and one of drawn inputs over all
    kinds, each spoiler at least once.

    outside: spoilers for bad users who are not active; they harm nobody either, and get half of the fixed
    share.
    """
    calls, judge, shrink = _alone(is_bad), _beside_judge(is_bad, **options), _keep_bad(is_bad)
    fixed_draws = Draws(0, purpose)
    fixed_share = share / len(kinds) / (2 if outside else 1)
    families = []
    for name, spoilers in kinds.items():
        inputs = []
        for place in range(3):
            users = _placed(fixed_draws, YEAR, [spoilers[place % len(spoilers)]], place)
            inputs.append(Input(make_args(users), public=place == 0, note=name))
        families.append(Family(name, tuple(inputs), judge, fixed_share, calls, shrink))
    if outside:
        inputs = [
            Input(make_args(_placed(fixed_draws, YEAR, [_made_inactive(each)], place % 3)), note="not active")
            for place, each in enumerate(outside)
        ]
        families.append(Family("not active", tuple(inputs), judge, share / 2, calls, shrink))
    draws = Draws(seed, purpose)
    drawn = []
    for name, spoilers in kinds.items():
        for number in range(max(rounds, len(spoilers))):
            dates = draw_range(draws)
            chosen = [spoilers[number % len(spoilers)]] * (2 if draws.chance(0.3) else 1)
            users = _placed(draws, dates, chosen, (number + draws.integer(0, 2)) % 3)
            drawn.append(Input(make_args(users, dates), drawn=True, note=name))
    return (*families, Family("drawn lists", tuple(drawn), judge, 2.0 * share, calls, shrink, joint="drawn"))


def _made_inactive(spoil: Spoil) -> Spoil:
    return lambda draws, healthy: {**spoil(draws, healthy), "last_login": date_before(draws, YEAR)}


def _set(key: str, value: Any) -> Spoil:
    return lambda draws, healthy: {**healthy, key: value}


def _set_each(*values: Any) -> tuple[Spoil, ...]:
    """Every value under every numeric key; neighbours differ in both."""
    return tuple(_set(_NUMERIC[i % 4], values[(i // 4 + i) % len(values)]) for i in range(4 * len(values)))


def _is_zero(each: Any) -> bool:
    return isinstance(each, dict) and each["days_active"] == 0


def _cured_calls(args: Args) -> tuple[FunctionCall, ...]:
    """The users as they are, and the same with one active day each."""
    return (FunctionCall(args), FunctionCall(([{**each, "days_active": 1} for each in args[0]], *args[1:])))


def division_families(seed: int) -> tuple[Family, ...]:
    """days_active 0 and 0.0, beside healthy users and alone."""
    kinds: dict[str, Sequence[Spoil]] = {
        "days_active 0": (_set("days_active", 0),),
        "days_active 0.0": (_set("days_active", 0.0),),
    }
    outside = [_set("days_active", 0), _set("days_active", 0.0)]
    families = _bad_families(seed, "division", kinds, _is_zero, 11, 0.75, outside)
    nobody_else = [user("2024-05-10", 10, 20, 100, 0), user("2024-06-20", 0, 0, 0, 0)]

    draws = Draws(seed, "only zero")
    drawn = [
        Input(
            make_args([{**each, "days_active": 0} for each in draw_active(draws, YEAR, count)]),
            drawn=True,
            note="alone",
        )
        for count in (1, 2, 3, 4)
    ]
    name, judge = "nobody but users with days_active 0", judging_pairs.judge_only_bad
    shown = Input(make_args(nobody_else), public=True, note="alone")
    alone = Family(name, (shown,), judge, 0.25, _cured_calls, some_left)
    more = Family(f"{name}, drawn", tuple(drawn), judge, 0.5, _cured_calls, some_left, joint="drawn")
    return (*families, alone, more)


def _is_incomplete(each: Any) -> bool:
    return any(key not in each for key in KEYS)


def _without(key: str) -> Spoil:
    return lambda draws, healthy: {name: value for name, value in healthy.items() if name != key}


def _filled_calls(args: Args) -> tuple[FunctionCall, ...]:
    filled = [each if not _is_incomplete(each) else _fill(each) for each in args[0]]
    return (*_alone(_is_incomplete)(args), FunctionCall((filled, *args[1:])))


def _fill(each: User) -> User:
    """What is missing counts as 0; nothing can stand for a missing date or missing active days."""
    return {key: each.get(key, 0) for key in KEYS} if "last_login" in each else {**each}


def missing_families(seed: int) -> tuple[Family, ...]:
    """Users lacking any one key."""
    kinds: dict[str, Sequence[Spoil]] = {key: (_without(key),) for key in KEYS}
    outside = [_without(key) for key in _NUMERIC]
    families = _bad_families(seed, "missing", kinds, _is_incomplete, 5, outside=outside)

    def judge(args: Args, outcomes: Sequence[Outcome]) -> Fault | None:
        bad = [each for each in args[0] if _is_incomplete(each)]
        if all(key in each for each in bad for key in ("last_login", "days_active")):
            return judging_pairs.judge_filled(args, outcomes, len(bad))
        return judging_pairs.judge_beside(outcomes[:2], len(bad), agree=True)

    return tuple(
        Family(
            f"no {each.name}" if each.name in KEYS else each.name,
            each.inputs,
            judge,
            each.weight,
            _filled_calls,
            each.shrink,
        )
        for each in families
    )


def _has_bad_date(each: Any) -> bool:
    login = each.get("last_login")
    return not isinstance(login, str) or not login.startswith("20")


def _date_families(seed: int) -> tuple[Family, ...]:
    kinds: dict[str, Sequence[Spoil]] = {
        "last_login missing": (_without("last_login"),),
        "last_login None": (_set("last_login", None),),
        "last_login empty": (_set("last_login", ""),),
        "last_login not a date": tuple(_set("last_login", text) for text in _NO_DATES),
    }
    return _bad_families(seed, "dates", kinds, _has_bad_date, 5, 0.75, strict=True)


def _turned_calls(args: Args) -> tuple[FunctionCall, ...]:
    """The turned range, and an ordinary range in which nobody is active."""
    users, start, _ = args
    return (
        FunctionCall(args),
        FunctionCall((users, f"{int(start[:4]) + 3}-01-01", f"{int(start[:4]) + 3}-12-31")),
    )


def date_families(seed: int) -> tuple[Family, ...]:
    """Start after end, and users whose last_login is no date."""
    draws = Draws(seed, "turned")
    drawn = []
    for _ in range(6):
        dates = draw_range(draws)
        drawn.append(
            Input(
                make_args(draw_active(draws, dates, draws.integer(1, 4)), Range(dates.end, dates.start)),
                drawn=True,
            )
        )
    shown = Input(make_args([ANNA, BEN], Range(YEAR.end, YEAR.start)), public=True)
    name, judge = "start after end", judging_pairs.judge_start_after_end
    turned = Family(name, (shown,), judge, 0.25, _turned_calls, some_left)
    more = Family(f"{name}, drawn", tuple(drawn), judge, 0.5, _turned_calls, some_left, joint="drawn")
    return (turned, more, *_date_families(seed))


def _is_odd(each: Any) -> bool:
    if not isinstance(each, dict):
        return True
    return any(not isinstance(each[key], int) or each[key] < 0 for key in _NUMERIC)


def _thing(value: Any) -> Spoil:
    return lambda draws, healthy: value


def robust_families(seed: int) -> tuple[Family, ...]:
    """Values of the wrong kind, and things that are no user at all."""
    kinds: dict[str, Sequence[Spoil]] = {
        "None as a value": _set_each(None),
        "a negative number": _set_each(-1, -2.5),
        "a number as text": _set_each("12", "2.5"),
        "text instead of a number": _set_each("many", ""),
        "not a dict": tuple(map(_thing, (None, "user", 42, ["a"], 1.5))),
    }
    outside = [kinds[name][place] for place, name in enumerate(list(kinds)[:-1])]
    return _bad_families(seed, "robust", kinds, _is_odd, 6, outside=outside)
