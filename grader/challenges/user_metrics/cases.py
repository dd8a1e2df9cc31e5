"""The families of each check: fixed inputs of every kind, and drawn ones that hold all kinds.

The fixed families of a check share a third of its points, the drawn inputs earn the other two thirds
together. Data about bad users is at most four users long, so that nobody hides behind the top five.
"""

from __future__ import annotations

from collections.abc import Sequence

from grader.challenges.user_metrics import judging
from grader.challenges.user_metrics.bad_users import (
    date_families,
    division_families,
    missing_families,
    robust_families,
)
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
from grader.challenges.user_metrics.inputs import ANNA, BEN, CARL, YEAR, make_args, some_left, user
from grader.grading.challenge import Args, Family, Fault, Input, Outcome, Plan, cached_plan
from grader.grading.display import show
from grader.grading.judges import growth_calls, judge_steps, judge_unchanged
from grader.grading.random_source import Draws

SMALL, LARGE = 500, 2000


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
        drawn.append(Input(make_args(_average_users(draws, dates), dates), drawn=True))
    shown = Input(
        make_args(fixed), public=True, note="active users on both boundary dates, inactive ones beside"
    )
    return (
        Family("the mean of a fixed list", (shown,), judging.judge_average, 0.8, shrink=some_left),
        Family("the mean of drawn lists", tuple(drawn), judging.judge_average, 1.6, shrink=some_left),
        Family("the number of active users", (shown, *drawn), judging.judge_count, 0.6, shrink=some_left),
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
        drawn.append(Input(make_args(draw_active(draws, dates, draws.integer(6, 12)), dates), drawn=True))
    shown = Input(make_args(fixed), public=True, note="seven active users in no order")
    return (
        Family("a fixed list", (shown,), judging.judge_order, shrink=some_left),
        Family("drawn lists", tuple(drawn), judging.judge_order, 2.0, shrink=some_left),
    )


# nobody, few


def empty_families(seed: int) -> tuple[Family, ...]:
    """The empty list, for several ranges."""
    draws = Draws(seed, "empty")
    drawn = tuple(Input(make_args([], draw_range(draws)), drawn=True) for _ in range(3))
    return (
        Family("an empty list", (Input(make_args([]), public=True),), judging.judge_nobody),
        Family("an empty list, drawn ranges", drawn, judging.judge_nobody, 2.0),
    )


def nobody_families(seed: int) -> tuple[Family, ...]:
    """Everybody logged in before the range, or after it, or some of each."""
    draws = Draws(seed, "nobody")
    before = make_args([user("2023-12-31", 4, 6, 80, 2), user("2024-02-29", 9, 3, 10, 3)])
    after = make_args([user("2024-10-01", 4, 6, 80, 2), user("2025-01-15", 9, 3, 10, 3)])
    drawn = []
    for number in range(12):
        dates = draw_range(draws)
        sides = (date_before, date_after) if number % 3 == 2 else ((date_before,), (date_after,))[number % 3]
        logins = [draws.choice(sides)(draws, dates) for _ in range(draws.integer(1, 6))]
        drawn.append(Input(make_args(draw_users(draws, logins), dates), drawn=True))
    return (
        Family(
            "everybody before the range",
            (Input(before, public=True),),
            judging.judge_nobody,
            0.5,
            shrink=some_left,
        ),
        Family(
            "everybody after the range",
            (Input(after, public=True),),
            judging.judge_nobody,
            0.5,
            shrink=some_left,
        ),
        Family("drawn users outside the range", tuple(drawn), judging.judge_nobody, 2.0, shrink=some_left),
    )


def few_families(seed: int) -> tuple[Family, ...]:
    """One to five active users and nobody else."""
    draws = Draws(seed, "few")
    five = [ANNA, BEN, CARL, user("2024-08-08", 21, 5, 620, 8), user("2024-04-17", 2, 9, 15, 1)]
    fixed = tuple(
        Input(make_args(five[:count]), public=count in (1, 5), note=f"{count} active")
        for count in range(1, 6)
    )
    drawn = []
    for number in range(15):
        dates = draw_range(draws)
        drawn.append(Input(make_args(draw_active(draws, dates, number % 5 + 1), dates), drawn=True))
    return (
        Family("one to five users", fixed, judging.judge_few, shrink=some_left),
        Family("drawn users", tuple(drawn), judging.judge_few, 2.0, shrink=some_left),
    )


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
        Input(
            make_args([nested(1, BEN), nested(2, ANNA), nested(3, CARL)]), public=True, note="nested values"
        )
    ]
    for _ in range(8):
        dates = draw_range(draws)
        users = [nested(*each) for each in enumerate(draw_active(draws, dates, draws.integer(2, 7)))]
        inputs.append(Input(make_args(users, dates), drawn=True))
    return (
        Family(
            "the caller's data", tuple(inputs), judge_unchanged, 1.0, shrink=some_left, judges_mutation=True
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
    small, large = make_args(_many_users(draws, SMALL)), make_args(_many_users(draws, LARGE))

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
        mixed.append(Input(make_args(users, dates), drawn=True))
        all_active.append(Input(make_args(draw_active(draws, dates, count), dates), drawn=True))
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
