"""The families of each check: fixed inputs of every kind, and drawn ones that hold all kinds.

The fixed families of a check share a third of its points, the drawn inputs earn the other two thirds
together.
Data about bad users is at most four users long, so that nobody hides behind the top five.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from grader.answers import growth_calls, judge_steps, judge_unchanged
from grader.challenge import Args, Call, Family, Fault, Input, Outcome, Plan, cached_plan, remove_items
from grader.challenges.user_metrics import judging
from grader.challenges.user_metrics.draws import (
    Range,
    User,
    date_after,
    date_before,
    date_inside,
    draw_active,
    draw_range,
    draw_users,
)
from grader.challenges.user_metrics.reference import KEYS
from grader.display import show
from grader.random_source import Draws

YEAR = Range("2024-03-01", "2024-09-30")
SMALL, LARGE = 500, 2000
_NUMERIC = KEYS[1:]
_NO_DATES = ("not-a-date", "unknown", "never", "n/a", "31/12/2024", "yesterday", "99/99/9999", 12345, 0)


def user(login: str, posts: Any, comments: Any, likes: Any, days: Any) -> User:
    """A user record in the order of the brief."""
    return {"last_login": login, "posts": posts, "comments": comments, "likes": likes, "days_active": days}


ANNA = user("2024-05-10", 10, 20, 100, 10)
BEN = user("2024-06-20", 3, 8, 40, 4)
CARL = user("2024-07-01", 30, 10, 50, 20)


def _args(users: Sequence[Any], dates: Range = YEAR) -> Args:
    return judging.MetricsArgs((list(users), dates.start, dates.end))


def _fewer_users(args: Args) -> Iterator[Args]:
    for users in remove_items(args[0]):
        yield judging.MetricsArgs((users, *args[1:]))


def _smaller(args: Args, keep: Callable[[list[Any]], bool]) -> Iterator[Args]:
    return (each for each in _fewer_users(args) if keep(each[0]))


def _some_left(args: Args) -> Iterator[Args]:
    """Smaller lists that are not empty."""
    return _smaller(args, bool)


# the mean and the order


def _average_users(draws: Draws, dates: Range) -> list[User]:
    inside = [date_inside(draws, dates) for _ in range(draws.integer(5, 9))]
    outside = [date_before(draws, dates) for _ in range(draws.integer(1, 3))]
    outside += [date_after(draws, dates) for _ in range(draws.integer(1, 3))]
    users = draw_users(draws, [dates.start, dates.end, *inside, *outside])
    draws.shuffle(users)
    return users


def average_families(seed: int) -> tuple[Family, ...]:
    """Mean (four fifths) and number (one fifth) of the active users."""
    draws = Draws(seed, "average")
    fixed = [
        ANNA,
        user("2024-03-01", 12, 30, 250, 5),
        user("2024-02-29", 50, 80, 700, 2),
        user("2024-09-30", 7, 4, 90, 3),
        user("2024-10-01", 44, 61, 310, 7),
        BEN,
        user("2024-08-08", 21, 5, 620, 8),
        user("2024-04-17", 2, 9, 15, 1),
        CARL,
    ]
    drawn = []
    for _ in range(32):
        dates = draw_range(draws)
        drawn.append(Input(_args(_average_users(draws, dates), dates), drawn=True))
    shown = Input(_args(fixed), public=True, note="active users on both boundary dates, inactive ones beside")
    return (
        Family("the mean of a fixed list", (shown,), judging.judge_average, 0.8, shrink=_some_left),
        Family("the mean of drawn lists", tuple(drawn), judging.judge_average, 1.6, shrink=_some_left),
        Family("the number of active users", (shown, *drawn), judging.judge_count, 0.6, shrink=_some_left),
    )


def order_families(seed: int) -> tuple[Family, ...]:
    """Shuffled active users only: neither the range nor the mean matters here."""
    draws = Draws(seed, "order")
    fixed = [
        BEN,
        user("2024-08-08", 21, 5, 620, 8),
        ANNA,
        user("2024-04-17", 2, 9, 15, 1),
        user("2024-05-05", 40, 40, 400, 4),
        CARL,
        user("2024-06-02", 9, 12, 30, 9),
    ]
    drawn = []
    for _ in range(26):
        dates = draw_range(draws)
        drawn.append(Input(_args(draw_active(draws, dates, draws.integer(6, 12)), dates), drawn=True))
    shown = Input(_args(fixed), public=True, note="seven active users in no order")
    return (
        Family("a fixed list", (shown,), judging.judge_order, shrink=_some_left),
        Family("drawn lists", tuple(drawn), judging.judge_order, 2.0, shrink=_some_left),
    )


# nobody, few


def empty_families(seed: int) -> tuple[Family, ...]:
    """The empty list, for several ranges."""
    draws = Draws(seed, "empty")
    drawn = tuple(Input(_args([], draw_range(draws)), drawn=True) for _ in range(3))
    return (
        Family("an empty list", (Input(_args([]), public=True),), judging.judge_nobody),
        Family("an empty list, drawn ranges", drawn, judging.judge_nobody, 2.0),
    )


def nobody_families(seed: int) -> tuple[Family, ...]:
    """Everybody logged in before the range, or after it, or some of each."""
    draws = Draws(seed, "nobody")
    before = _args([user("2023-12-31", 4, 6, 80, 2), user("2024-02-29", 9, 3, 10, 3)])
    after = _args([user("2024-10-01", 4, 6, 80, 2), user("2025-01-15", 9, 3, 10, 3)])
    drawn = []
    for number in range(12):
        dates = draw_range(draws)
        sides = (date_before, date_after) if number % 3 == 2 else ((date_before,), (date_after,))[number % 3]
        logins = [draws.choice(sides)(draws, dates) for _ in range(draws.integer(1, 6))]
        drawn.append(Input(_args(draw_users(draws, logins), dates), drawn=True))
    return (
        Family(
            "everybody before the range",
            (Input(before, public=True),),
            judging.judge_nobody,
            0.5,
            shrink=_some_left,
        ),
        Family(
            "everybody after the range",
            (Input(after, public=True),),
            judging.judge_nobody,
            0.5,
            shrink=_some_left,
        ),
        Family("drawn users outside the range", tuple(drawn), judging.judge_nobody, 2.0, shrink=_some_left),
    )


def few_families(seed: int) -> tuple[Family, ...]:
    """One to five active users and nobody else."""
    draws = Draws(seed, "few")
    five = [ANNA, BEN, CARL, user("2024-08-08", 21, 5, 620, 8), user("2024-04-17", 2, 9, 15, 1)]
    fixed = tuple(
        Input(_args(five[:count]), public=count in (1, 5), note=f"{count} active") for count in range(1, 6)
    )
    drawn = []
    for number in range(15):
        dates = draw_range(draws)
        drawn.append(Input(_args(draw_active(draws, dates, number % 5 + 1), dates), drawn=True))
    return (
        Family("one to five users", fixed, judging.judge_few, shrink=_some_left),
        Family("drawn users", tuple(drawn), judging.judge_few, 2.0, shrink=_some_left),
    )


# bad users beside healthy ones


Spoil = Callable[[Draws, User], Any]
IsBad = Callable[[Any], bool]


def _placed(draws: Draws, dates: Range, spoilers: Sequence[Spoil], place: int) -> list[Any]:
    """Healthy users with the spoiled ones first (0), in the middle (1) or last (2); four in all at most."""
    healthy: list[Any] = draw_active(draws, dates, draws.integer(2, 4 - len(spoilers)))
    bad = [spoil(draws, draw_active(draws, dates, 1)[0]) for spoil in spoilers]
    at = (0, 1, len(healthy))[place]
    return [*healthy[:at], *bad, *healthy[at:]]


def _alone(is_bad: IsBad) -> Callable[[Args], tuple[Call, ...]]:
    def calls(args: Args) -> tuple[Call, ...]:
        return (Call(args), Call(([each for each in args[0] if not is_bad(each)], *args[1:])))

    return calls


def _beside_judge(is_bad: IsBad, **options: bool) -> Callable[[Args, Sequence[Outcome]], Fault | None]:
    def judge(args: Args, outcomes: Sequence[Outcome]) -> Fault | None:
        return judging.judge_beside(outcomes, sum(map(is_bad, args[0])), **options)

    return judge


def _keep_bad(is_bad: IsBad) -> Callable[[Args], Iterator[Args]]:
    """Smaller lists that still hold a bad user and a healthy one."""
    return lambda args: _smaller(args, lambda users: any(map(is_bad, users)) and not all(map(is_bad, users)))


def _bad_families(
    seed: int,
    purpose: str,
    kinds: dict[str, Sequence[Spoil]],
    is_bad: IsBad,
    rounds: int,
    share: float = 1.0,
    **options: bool,
) -> tuple[Family, ...]:
    """A fixed family per kind (bad user first, in the middle, last) and one of drawn inputs over all
    kinds."""
    calls, judge, shrink = _alone(is_bad), _beside_judge(is_bad, **options), _keep_bad(is_bad)
    fixed_draws = Draws(0, purpose)
    families = []
    for name, spoilers in kinds.items():
        inputs = []
        for place in range(3):
            spoil = spoilers[place % len(spoilers)]
            users = _placed(fixed_draws, YEAR, [spoil], place)
            inputs.append(Input(_args(users), public=place == 0, note=name))
        families.append(Family(name, tuple(inputs), judge, share / len(kinds), calls, shrink))
    draws = Draws(seed, purpose)
    drawn = []
    for number in range(rounds):
        for name, spoilers in kinds.items():
            dates = draw_range(draws)
            chosen = [draws.choice(spoilers)] * (2 if draws.chance(0.3) else 1)
            users = _placed(draws, dates, chosen, (number + draws.integer(0, 2)) % 3)
            drawn.append(Input(_args(users, dates), drawn=True, note=name))
    return (*families, Family("drawn lists", tuple(drawn), judge, 2.0 * share, calls, shrink, joint="drawn"))


def _set(key: str, *values: Any) -> Spoil:
    def spoil(draws: Draws, healthy: User) -> User:
        return {**healthy, key: draws.choice(values)}

    return spoil


def _is_zero(each: Any) -> bool:
    return isinstance(each, dict) and each["days_active"] == 0


def _cured_calls(args: Args) -> tuple[Call, ...]:
    """The users as they are, and the same with one active day each."""
    return (Call(args), Call(([{**each, "days_active": 1} for each in args[0]], *args[1:])))


def division_families(seed: int) -> tuple[Family, ...]:
    """days_active 0 and 0.0, beside healthy users and alone."""
    kinds: dict[str, Sequence[Spoil]] = {
        "days_active 0": (_set("days_active", 0),),
        "days_active 0.0": (_set("days_active", 0.0),),
    }
    families = _bad_families(seed, "division", kinds, _is_zero, 11, 0.75)
    nobody_else = [user("2024-05-10", 10, 20, 100, 0), user("2024-06-20", 0, 0, 0, 0)]

    draws = Draws(seed, "only zero")
    drawn = [
        Input(
            _args([{**each, "days_active": 0} for each in draw_active(draws, YEAR, count)]),
            drawn=True,
            note="alone",
        )
        for count in (1, 2, 3, 4)
    ]
    name, judge = "nobody but users with days_active 0", judging.judge_only_bad
    shown = Input(_args(nobody_else), public=True, note="alone")
    alone = Family(name, (shown,), judge, 0.25, _cured_calls, _some_left)
    more = Family(f"{name}, drawn", tuple(drawn), judge, 0.5, _cured_calls, _some_left, joint="drawn")
    return (*families, alone, more)


def _is_incomplete(each: Any) -> bool:
    return any(key not in each for key in KEYS)


def _without(key: str) -> Spoil:
    return lambda draws, healthy: {name: value for name, value in healthy.items() if name != key}


def _filled_calls(args: Args) -> tuple[Call, ...]:
    filled = [each if not _is_incomplete(each) else _fill(each) for each in args[0]]
    return (*_alone(_is_incomplete)(args), Call((filled, *args[1:])))


def _fill(each: User) -> User:
    """What is missing counts as 0; nothing can stand for a missing date or missing active days."""
    return {key: each.get(key, 0) for key in KEYS} if "last_login" in each else {**each}


def missing_families(seed: int) -> tuple[Family, ...]:
    """Users lacking any one key."""
    kinds: dict[str, Sequence[Spoil]] = {key: (_without(key),) for key in KEYS}
    families = _bad_families(seed, "missing", kinds, _is_incomplete, 5)

    def judge(args: Args, outcomes: Sequence[Outcome]) -> Fault | None:
        bad = [each for each in args[0] if _is_incomplete(each)]
        if all(key in each for each in bad for key in ("last_login", "days_active")):
            return judging.judge_filled(args, outcomes, len(bad))
        return judging.judge_beside(outcomes[:2], len(bad), agree=True)

    return tuple(
        Family(
            each.name if each.joint else f"no {each.name}",
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


def _turned_calls(args: Args) -> tuple[Call, ...]:
    """The turned range, and an ordinary range in which nobody is active."""
    users, start, _ = args
    return (Call(args), Call((users, f"{int(start[:4]) + 3}-01-01", f"{int(start[:4]) + 3}-12-31")))


def date_families(seed: int) -> tuple[Family, ...]:
    """Start after end, and users whose last_login is no date."""
    draws = Draws(seed, "turned")
    drawn = []
    for _ in range(6):
        dates = draw_range(draws)
        drawn.append(
            Input(
                _args(draw_active(draws, dates, draws.integer(1, 4)), Range(dates.end, dates.start)),
                drawn=True,
            )
        )
    shown = Input(_args([ANNA, BEN], Range(YEAR.end, YEAR.start)), public=True)
    name, judge = "start after end", judging.judge_start_after_end
    turned = Family(name, (shown,), judge, 0.25, _turned_calls, _some_left)
    more = Family(f"{name}, drawn", tuple(drawn), judge, 0.5, _turned_calls, _some_left, joint="drawn")
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
        "None as a value": tuple(_set(key, None) for key in _NUMERIC),
        "a negative number": tuple(_set(key, -1, -7, -2.5) for key in _NUMERIC),
        "a number as text": tuple(_set(key, "12", "3", "2.5") for key in _NUMERIC),
        "text instead of a number": tuple(_set(key, "many", "abc", "") for key in _NUMERIC),
        "not a dict": tuple(map(_thing, (None, "user", 42, ["a"], 1.5))),
    }
    return _bad_families(seed, "robust", kinds, _is_odd, 6)


# mutation and work


def mutation_families(seed: int) -> tuple[Family, ...]:
    """Lists with nested values; every other call of the grade counts as well."""
    draws = Draws(seed, "mutation")

    def nested(number: int, each: User) -> User:
        return {
            **each,
            "name": f"user {number}",
            "tags": ["new", "beta"],
            "profile": {"langs": ["en"], "age": 30},
        }

    inputs = [
        Input(_args([nested(1, BEN), nested(2, ANNA), nested(3, CARL)]), public=True, note="nested values")
    ]
    for _ in range(8):
        dates = draw_range(draws)
        users = [nested(*each) for each in enumerate(draw_active(draws, dates, draws.integer(2, 7)))]
        inputs.append(Input(_args(users, dates), drawn=True))
    return (
        Family(
            "the caller's data", tuple(inputs), judge_unchanged, 1.0, shrink=_some_left, judges_mutation=True
        ),
    )


def _many_users(draws: Draws, count: int) -> list[User]:
    """Five users who lead under any sensible formula, in a clear order, among many ordinary ones."""
    users = [
        user(
            date_inside(draws, YEAR),
            draws.integer(0, 40),
            draws.integer(0, 60),
            draws.integer(0, 400),
            draws.integer(5, 25),
        )
        for _ in range(count - 5)
    ]
    best = [user(date_inside(draws, YEAR), 100 * k, 200 * k, 3000 * k, 1) for k in range(1, 6)]
    users += best
    draws.shuffle(users)
    return users


def efficiency_families(seed: int) -> tuple[Family, ...]:
    """500 and 2,000 users, counted; the larger run must also find the five best."""
    draws = Draws(seed, "efficiency")
    small, large = _args(_many_users(draws, SMALL)), _args(_many_users(draws, LARGE))

    return (
        Family("500 and 2,000 users", (Input(large, drawn=True),), judge_growth, 1.0, growth_calls(small)),
    )


def judge_growth(args: Args, outcomes: Sequence[Outcome]) -> Fault | None:
    """Work grows less than sixfold for four times the users, and the five best are found."""
    fault = judge_steps(outcomes, SMALL, LARGE, "users")
    if fault:
        return fault
    large = outcomes[1]
    answer = judging.read(large.value)
    best = sorted(args[0], key=lambda each: each["posts"])[-5:][::-1]
    found = answer.performers
    right = len(found) == len(best) and all(map(judging.has_fields, found, best))
    if not right:
        got = f"{len(found)} performers: {show(found, 200)}"
        about = "top" if len(found) == len(best) else "length"
        return Fault("wrong", got, f"the five best of {LARGE} users, best first", large, about)
    return None


def _no_judge(args: Args, outcomes: Sequence[Outcome]) -> Fault | None:
    """The gate looks at these outcomes itself."""
    return None


def plain_families(seed: int) -> tuple[Family, ...]:
    """Plain lists; not a check, they tell a useless function from a buggy one.

    Two have inactive users before the range and two after it, so that a forgotten bound is still seen as
    work.
    """
    draws = Draws(seed, "plain")
    mixed, all_active = [], []
    for place, count in enumerate((6, 9, 7, 11)):
        dates = draw_range(draws)
        year = int(dates.start[:4]) + (1 if place % 2 else -1)
        outside = [f"{year}-06-{draws.integer(1, 28):02d}" for _ in range(draws.integer(2, 5))]
        users = draw_users(draws, [*(date_inside(draws, dates) for _ in range(count)), *outside])
        draws.shuffle(users)
        mixed.append(Input(_args(users, dates), drawn=True))
        all_active.append(Input(_args(draw_active(draws, dates, count), dates), drawn=True))
    return (
        Family("some active", tuple(mixed), _no_judge, 0.0),
        Family("all active", tuple(all_active), _no_judge, 0.0),
    )


@cached_plan
def plan(seed: int) -> Plan:
    """The families of every check, in the order of the report, and the plain cases of the gate."""
    return {
        "handles_division_by_zero": division_families(seed),
        "handles_empty_users_list": empty_families(seed),
        "handles_missing_keys": missing_families(seed),
        "correct_average_calculation": average_families(seed),
        "correct_sorting_direction": order_families(seed),
        "handles_no_active_users": nobody_families(seed),
        "doesnt_mutate_input": mutation_families(seed),
        "handles_less_than_5_users": few_families(seed),
        "handles_invalid_dates": date_families(seed),
        "robust_error_handling": robust_families(seed),
        "efficient_implementation": efficiency_families(seed),
        "plain": plain_families(seed),
    }
