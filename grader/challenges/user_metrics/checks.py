"""The 11 checks with their points, and how one bug is kept from being charged twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from grader.challenges.user_metrics import judging, results
from grader.challenges.user_metrics.cases import FEW, SMALL, plan
from grader.challenges.user_metrics.reference import FIELDS, TOP, calculate_user_metrics
from grader.grading.challenge import Cap, Challenge, Check, Fault, Verdict

CHECKS = (
    Check(
        "handles_division_by_zero",
        "critical_bugs",
        20,
        "Users with 0 active days never crash it; results stay finite.",
        "Decide what a user with days_active 0 scores before dividing.",
    ),
    Check(
        "handles_empty_users_list",
        "critical_bugs",
        15,
        "An empty list gives count 0, average 0, no performers.",
        "Return the empty summary when there is nobody to average over.",
    ),
    Check(
        "handles_missing_keys",
        "critical_bugs",
        15,
        "A user lacking any key crashes nothing and harms nobody.",
        "Read keys with .get(), or leave incomplete users out consistently.",
    ),
    Check(
        "correct_average_calculation",
        "critical_bugs",
        15,
        "The mean over the active users only, both ends of the range included.",
        "Sum the scores of the active users and divide by their number.",
    ),
    Check(
        "correct_sorting_direction",
        "logic_bugs",
        10,
        "Highest score first, at most five, each with its own user's fields.",
        "Sort by engagement_score in descending order and keep each user's own fields.",
    ),
    Check(
        "handles_no_active_users",
        "logic_bugs",
        10,
        "Nobody in range: count 0, average 0, no performers.",
        "Guard the division by the number of active users.",
    ),
    Check(
        "doesnt_mutate_input",
        "logic_bugs",
        8,
        "The caller's list and dicts stay as they were, nested values too.",
        "Build new dicts ({**user, ...}) and use sorted() instead of changing what you were given.",
    ),
    Check(
        "handles_less_than_5_users",
        "edge_cases",
        5,
        "One to five active users: exactly those are the performers.",
        "Slicing with [:5] is enough; do not pad and do not index fixed positions.",
    ),
    Check(
        "handles_invalid_dates",
        "edge_cases",
        5,
        "Start after end: nobody is active. A last_login that is no date is not active.",
        "Check that last_login is a text before comparing it.",
    ),
    Check(
        "robust_error_handling",
        "edge_cases",
        7,
        "None, negative numbers, text, and things that are no user crash nothing.",
        "Convert values carefully and skip what is not a dict.",
    ),
    Check(
        "efficient_implementation",
        "performance",
        10,
        "The best five of 2,000 users, with work that grows near-linearly.",
        "Go through the users once; never go through all of them again for each one.",
    ),
)

_ABSENCE = (
    "handles_empty_users_list",
    "handles_no_active_users",
    "handles_invalid_dates",
    "handles_missing_keys",
    "robust_error_handling",
    "handles_division_by_zero",
    "doesnt_mutate_input",
    "handles_less_than_5_users",
)
_IDLE = Cap(
    0.2,
    "Pays at most a fifth: on plain data none of the result's fields is right, so doing nothing wrong here "
    "says little.",
)
_FORMLESS = Cap(0.0, "Pays nothing: on plain data what comes back is never a dict with the three fields.")

_Where = Mapping[str, list[Verdict]]


def settle(verdicts: _Where) -> Mapping[str, Cap]:
    """Excuse faults that another check already charges; cap the absence checks of a useless function.

    What never returns a result on plain data gets nothing at all.
    """
    if not _has_form(verdicts):
        return {check.name: _FORMLESS for check in CHECKS}
    if not _is_useful(verdicts):
        return dict.fromkeys(_ABSENCE, _IDLE)
    _excuse_division(verdicts)
    _excuse_dates(verdicts)
    _excuse_none(verdicts)
    _excuse_nobody_left(verdicts)
    _excuse_absent_fields(verdicts)
    _excuse_order(verdicts)
    _excuse_few(verdicts)
    _excuse_work(verdicts)
    _excuse_count(verdicts)
    _excuse_attachment(verdicts)
    return {}


def _crashes(verdicts: Iterable[Verdict]) -> set[tuple[str, int]]:
    """Exception and line of each crash."""
    return {_mark(fault) for verdict in verdicts for _, fault in verdict.faults if fault.kind == "crash"}


def _mark(fault: Fault) -> tuple[str, int]:
    return fault.about, fault.outcome.line if fault.outcome else 0


def _drop(verdict: Verdict, is_excused: Mapping[int, bool], reason: str) -> None:
    """Take the excused faults away; a family left without faults is excused."""
    left = [pair for index, pair in enumerate(verdict.faults) if not is_excused[index]]
    if left:
        verdict.faults = left
    elif verdict.faults:
        verdict.excuse = reason


def _excuse_division(verdicts: _Where) -> None:
    """A missing or unusable days_active that fails as a 0 does is charged once."""
    owner = "handles_division_by_zero"
    charged = {_likeness(fault) for verdict in verdicts[owner] for _, fault in verdict.faults}
    for name in ("handles_missing_keys", "robust_error_handling"):
        for verdict in verdicts[name]:
            flags = {
                index: _has_odd_days(each.args[0]) and _likeness(fault) in charged
                for index, (each, fault) in enumerate(verdict.faults)
            }
            _drop(verdict, flags, owner)


def _likeness(fault: Fault) -> tuple[str, str, int]:
    """Faults that are alike in this have the same cause."""
    line = fault.outcome.line if fault.outcome and fault.kind == "crash" else 0
    return fault.kind, fault.about, line


def _has_odd_days(users: Iterable[object]) -> bool:
    return any(
        isinstance(each, dict) and not isinstance(each.get("days_active"), int | float) for each in users
    )


def _excuse_dates(verdicts: _Where) -> None:
    """A user without last_login fails like users without other keys, or like users with a bad date.

    The check whose general matter it is charges it; a KeyError always belongs to the missing keys.
    """
    missing, dates = verdicts["handles_missing_keys"], verdicts["handles_invalid_dates"]
    by_keys = _alike(missing, lambda users: not _lacks_login(users))
    by_keys |= {mark for mark in _alike(missing, _lacks_login) if mark[1] == "KeyError"}
    by_dates = _alike(dates, lambda users: not _lacks_login(users))
    for group, charged, owner in (
        (dates, by_keys, "handles_missing_keys"),
        (missing, by_dates, "handles_invalid_dates"),
    ):
        for verdict in group:
            flags = {
                index: _lacks_login(each.args[0]) and _likeness(fault) in charged
                for index, (each, fault) in enumerate(verdict.faults)
            }
            _drop(verdict, flags, owner)


def _alike(group: Iterable[Verdict], concerns: Callable[[Any], bool]) -> set[tuple[str, str, int]]:
    """What the faults on such users have in common."""
    return {_likeness(fault) for verdict in group for each, fault in verdict.faults if concerns(each.args[0])}


def _lacks_login(users: Iterable[object]) -> bool:
    return any(isinstance(user, dict) and "last_login" not in user for user in users)


def _excuse_none(verdicts: _Where) -> None:
    """`user.get(key)` without a default fails for a missing key as for None: charged with the missing
    keys."""
    crashes = {mark for mark in _crashes(verdicts["handles_missing_keys"]) if mark[0] != "KeyError"}
    for verdict in verdicts["robust_error_handling"]:
        flags = {
            index: _mark(fault) in crashes
            and any(isinstance(u, dict) and None in u.values() for u in each.args[0])
            for index, (each, fault) in enumerate(verdict.faults)
        }
        _drop(verdict, flags, "handles_missing_keys")


def _excuse_nobody_left(verdicts: _Where) -> None:
    """Where nobody is left to average over, the crash is the one of an empty range."""
    crashes = _crashes(verdicts["handles_no_active_users"])
    for verdict in verdicts["handles_division_by_zero"]:
        flags = {
            index: each.note == "alone" and _mark(fault) in crashes
            for index, (each, fault) in enumerate(verdict.faults)
        }
        _drop(verdict, flags, "handles_no_active_users")


_OWNER = {
    results.AVERAGE: "correct_average_calculation",
    results.PERFORMERS: "correct_sorting_direction",
    results.SCORE: "correct_sorting_direction",
}


def _excuse_absent_fields(verdicts: _Where) -> None:
    """A field under a wrong name everywhere is charged where that field is judged."""
    for field, owner in _OWNER.items():
        if not _is_always_absent(field, verdicts[owner]):
            continue
        for name in ("handles_empty_users_list", "handles_no_active_users", "handles_less_than_5_users"):
            for verdict in verdicts[name]:
                flags = {
                    index: fault.kind in ("wrong", "shape")
                    and set(fault.about.split(",")) <= {field, results.SCORE}
                    for index, (_, fault) in enumerate(verdict.faults)
                }
                _drop(verdict, flags, owner)


def _is_always_absent(field: str, verdicts: Iterable[Verdict]) -> bool:
    faults = [fault for verdict in verdicts for _, fault in verdict.faults]
    return any(fault.kind == "shape" and fault.about == field and "missing" in fault.got for fault in faults)


def _excuse_order(verdicts: _Where) -> None:
    """With a wrong order or without users' own fields, only the number of performers is judged on 2,000
    users."""
    if not any(verdict.faults for verdict in verdicts["correct_sorting_direction"]):
        return
    for verdict in verdicts["efficient_implementation"]:
        flags = {index: fault.about == "top" for index, (_, fault) in enumerate(verdict.faults)}
        _drop(verdict, flags, "correct_sorting_direction")


_BESIDE = (
    "handles_division_by_zero",
    "handles_missing_keys",
    "handles_invalid_dates",
    "robust_error_handling",
)


def _excuse_few(verdicts: _Where) -> None:
    """Whoever cannot list fewer than five users fails every small list, with and without bad users in it."""
    owner = "handles_less_than_5_users"
    faults = [fault for verdict in verdicts[owner] for _, fault in verdict.faults]
    lines = {fault.outcome.line for fault in faults if fault.kind == "crash" and fault.outcome}
    is_short = any(fault.about == "length" for fault in faults)
    for name in _BESIDE:
        for verdict in verdicts[name]:
            flags = {
                index: ("alone" in (fault.about, each.note) and _mark(fault)[1] in lines)
                or (is_short and fault.about in ("healthy", "agreement"))
                for index, (each, fault) in enumerate(verdict.faults)
            }
            _drop(verdict, flags, owner)
    for verdict in verdicts["correct_sorting_direction"] if faults else ():
        _drop(verdict, {i: each.note == FEW for i, (each, _) in enumerate(verdict.faults)}, owner)
    for verdict in verdicts["correct_average_calculation"]:
        flags = {
            index: _mark(fault)[1] in lines and judging.right_answer(each.args)[results.COUNT] < TOP
            for index, (each, fault) in enumerate(verdict.faults)
        }
        _drop(verdict, flags, owner)


def _excuse_work(verdicts: _Where) -> None:
    """A mean of two thousand users that takes too long is the same matter as work that grows too fast."""
    owner = "efficient_implementation"
    if not any(verdict.faults for verdict in verdicts[owner]):
        return
    for verdict in verdicts["correct_average_calculation"]:
        flags = {
            index: fault.kind == "timeout" and len(each.args[0]) >= SMALL
            for index, (each, fault) in enumerate(verdict.faults)
        }
        _drop(verdict, flags, owner)


def _excuse_count(verdicts: _Where) -> None:
    """Whoever counts users outside the range counts bad ones as well: charged where nobody is active."""
    owner = "handles_no_active_users"
    counted = [f for v in verdicts[owner] for _, f in v.faults if results.COUNT in f.about.split(",")]
    if not counted:
        return
    for name in _BESIDE:
        for verdict in verdicts[name]:
            flags = {
                index: fault.about in ("count", "agreement")
                for index, (_, fault) in enumerate(verdict.faults)
            }
            _drop(verdict, flags, owner)


def _excuse_attachment(verdicts: _Where) -> None:
    """Where scores hang on the wrong users, nobody scores the same when others join: charged with the
    order."""
    owner = "correct_sorting_direction"
    if not any(fault.about == "fields" for verdict in verdicts[owner] for _, fault in verdict.faults):
        return
    for name in _BESIDE:
        for verdict in verdicts[name]:
            flags = {index: fault.about == "healthy" for index, (_, fault) in enumerate(verdict.faults)}
            _drop(verdict, flags, owner)


def _has_form(verdicts: _Where) -> bool:
    """Whether a result comes back from at least one plain list."""
    seen = [outcomes[0] for family in verdicts["plain"] for _, outcomes in family.seen]
    return any(outcome.ok and results.read(outcome.value).has_form for outcome in seen)


def _is_useful(verdicts: _Where) -> bool:
    """Whether one of the three fields is right on at least half of the plain lists of one kind.

    With everybody active the count is no evidence: the length of the list would do.
    """
    mixed, all_active = verdicts["plain"]
    for family in (mixed, all_active):
        rights = [judging.right_fields(args, outcomes[0]) for args, outcomes in family.seen]
        for field in FIELDS:
            is_evidence = family is mixed or field != results.COUNT
            if is_evidence and 2 * sum(field in each for each in rights) >= len(rights):
                return True
    return False


CHALLENGE = Challenge(
    name="user_metrics",
    title="User metrics",
    function_name="calculate_user_metrics",
    signature="calculate_user_metrics(users, start_date, end_date)",
    checks=CHECKS,
    plan=plan,
    folder=Path(__file__).parent,
    reference=calculate_user_metrics,
    settle=settle,
    fields={
        **{name: name for name in FIELDS},
        **dict.fromkeys((results.SCORE, "order", "length", "fields", "healthy", "top"), results.PERFORMERS),
        **dict.fromkeys(("count", "agreement"), results.COUNT),
    },
)
