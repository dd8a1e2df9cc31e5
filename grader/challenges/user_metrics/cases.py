"""The families of each check: fixed inputs of every kind, and drawn ones that hold all kinds.

The fixed families of a check share a third of its points, the drawn inputs earn the other two thirds
together. Data about bad users is at most four users long, so that nobody hides behind the top five.
"""

from __future__ import annotations

from collections.abc import Sequence

from grader.challenges.user_metrics import judging, judging_pairs, results
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
    day,
    draw_active,
    draw_range,
    draw_range_of,
    draw_user,
    draw_users,
    draw_users_of,
    every_month,
)
from grader.challenges.user_metrics.inputs import ANNA, BEN, CARL, YEAR, make_args, some_left, user
from grader.challenges.user_metrics.reference import engagement
from grader.grading.challenge import Args, Family, Fault, Input, Outcome, Plan, cached_plan
from grader.grading.display import show
from grader.grading.judges import growth_calls, judge_steps
from grader.grading.random_source import Draws
from grader.words import count

SMALL, LARGE = 500, 2000


# the mean and the order


def _average_users(draws: Draws, dates: Range, number: int) -> list[User]:
    """Active users of one kind, some on both ends of the range, and inactive ones on the days beside it.

    Every third list has a user in each month, so that no month is always inside or always outside.
    """
    inside = [dates.start, dates.end, *(date_inside(draws, dates) for _ in range(draws.integer(2, 6)))]
    outside = [day(dates.first - 1), day(dates.last + 1)]
    outside += [date_before(draws, dates) for _ in range(draws.integer(0, 2))]
    outside += [date_after(draws, dates) for _ in range(draws.integer(0, 2))]
    months = every_month(dates) if number % 3 == 0 else []
    inside += [each for each in months if dates.start <= each <= dates.end]
    outside += [each for each in months if not dates.start <= each <= dates.end]
    users = [*draw_users_of(draws, number, inside), *(draw_user(draws, each) for each in outside)]
    draws.shuffle(users)
    return users


def _crowd(draws: Draws, dates: Range, active: int, inactive: int) -> list[User]:
    sides = (date_before, date_after)
    logins = [date_inside(draws, dates) for _ in range(active)]
    logins += [draws.choice(sides)(draws, dates) for _ in range(inactive)]
    users = [draw_user(draws, login) for login in logins]
    draws.shuffle(users)
    return users


FEW = "four active users"
FOUR = [ANNA, BEN, CARL, user("2024-08-08", 21, 5, 620, 8)]
SEVEN = [
    *FOUR,
    user("2024-04-17", 2, 9, 15, 1),
    user("2024-05-05", 40, 40, 400, 4),
    user("2024-06-02", 9, 12, 30, 9),
]


def average_families(seed: int) -> tuple[Family, ...]:
    """Mean and number of the active users."""
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
    for number in range(44):
        dates = draw_range_of(draws, number)
        drawn.append(Input(make_args(_average_users(draws, dates, number), dates), drawn=True))
    for active, inactive in ((1, 0), (1, 5), (1000, 50)):
        dates = draw_range_of(draws, draws.integer(0, 20))
        drawn.append(Input(make_args(_crowd(draws, dates, active, inactive), dates), drawn=True))
    everybody = Input(make_args(SEVEN), public=True, note="everybody is active")
    shown = Input(
        make_args(fixed), public=True, note="active users on both boundary dates, inactive ones beside"
    )
    judge = judging.judge_average
    return (
        Family("everybody is active", (everybody,), judge, 0.75, shrink=some_left),
        Family("a fixed list", (shown,), judge, 0.25, shrink=some_left),
        Family("drawn lists", tuple(drawn), judge, 2.0, shrink=some_left),
    )


def _tied_at(draws: Draws, dates: Range, rank: int) -> list[User]:
    """Eight users with scores apart, but two with the same numbers at this rank and the next one."""
    users = sorted(draw_active(draws, dates, 8), key=engagement, reverse=True)
    users[rank] = {**users[rank - 1], "last_login": date_inside(draws, dates)}
    draws.shuffle(users)
    return users


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
    for number in range(22):
        dates = draw_range(draws)
        logins = [date_inside(draws, dates) for _ in range(draws.integer(6, 12))]
        users = draw_users_of(draws, number, logins)
        draws.shuffle(users)
        drawn.append(Input(make_args(users, dates), drawn=True))
    for rank in range(1, 6):
        dates = draw_range(draws)
        drawn.append(Input(make_args(_tied_at(draws, dates, rank), dates), drawn=True))
    members = Input(make_args(FOUR), public=True, note=FEW)
    shown = Input(make_args(fixed), public=True, note="seven active users in no order")
    return (
        Family("the right users and scores", (members,), judging.judge_members, 0.75, shrink=some_left),
        Family("a fixed list", (shown,), judging.judge_order, 0.25, shrink=some_left),
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
    for number in range(21):
        dates = draw_range_of(draws, number)
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
    for number in range(22):
        dates, count = draw_range(draws), number % 5 + 1
        users = draw_users_of(draws, number, [date_inside(draws, dates) for _ in range(count)])
        drawn.append(Input(make_args(users[:count], dates), drawn=True))
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
            "the caller's data",
            tuple(inputs),
            judging_pairs.judge_kept,
            1.0,
            shrink=some_left,
            judges_mutation=True,
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
    answer = results.read(large.value)
    best = sorted(args[0], key=lambda each: each["posts"])[-5:][::-1]
    found = answer.performers
    right = len(found) == len(best) and all(map(judging.has_fields, found, best))
    if not right:
        got = f"{count(len(found), 'performer')}: {show(found, 200)}"
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
    for place, n_active in enumerate((6, 9, 7, 11)):
        dates = draw_range(draws)
        year = int(dates.start[:4]) + (1 if place % 2 else -1)
        outside = [f"{year}-06-{draws.integer(1, 28):02d}" for _ in range(draws.integer(2, 5))]
        users = draw_users(draws, [*(date_inside(draws, dates) for _ in range(n_active)), *outside])
        draws.shuffle(users)
        mixed.append(Input(make_args(users, dates), drawn=True))
        all_active.append(Input(make_args(draw_active(draws, dates, n_active), dates), drawn=True))
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
