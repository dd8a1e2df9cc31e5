"""Who is right: holding a returned result against the brief."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from math import isclose
from typing import Any

from grader.challenges.user_metrics.reference import KEYS, TOP, ranked_users, summary
from grader.challenges.user_metrics.results import (
    AVERAGE,
    COUNT,
    PERFORMERS,
    ROUNDED,
    SCORE,
    is_close,
    not_empty,
    read,
)
from grader.grading.challenge import Args, Fault, Outcome
from grader.grading.display import show
from grader.grading.judges import crash, equal
from grader.words import count


class MetricsArgs(tuple[Any, ...]):
    """Arguments of one call that remember the right answer."""

    @cached_property
    def ranked(self) -> list[dict[str, Any]]:
        """The active users with their scores, highest first; not to be changed."""
        return ranked_users(*self)

    @cached_property
    def right(self) -> dict[str, Any]:
        """The reference's answer; not to be changed."""
        return summary(self.ranked)


def metrics_args(args: Args) -> MetricsArgs:
    """The same arguments as ones that remember the right answer."""
    return args if isinstance(args, MetricsArgs) else MetricsArgs(args)


def right_answer(args: Args) -> dict[str, Any]:
    """The reference's answer for these arguments."""
    return metrics_args(args).right


def judge_average(args: Args, outcomes: Sequence[Outcome]) -> Fault | None:
    """The mean over the active users, and their number: a wrong count is as wrong as a wrong mean."""
    outcome, right = outcomes[0], right_answer(args)
    wanted = f"{AVERAGE} {show(right[AVERAGE])}, the mean over the {right[COUNT]} active users"
    fault = crash(outcome, wanted)
    if fault:
        return fault
    answer = read(outcome.value)
    if AVERAGE in answer.problems:
        return Fault("shape", answer.problems[AVERAGE], wanted, outcome, AVERAGE)
    if not is_close(answer.average, right[AVERAGE]):
        return Fault("wrong", f"{AVERAGE} {show(answer.average)}", wanted, outcome, AVERAGE)
    wanted = f"{COUNT} {right[COUNT]}"
    if COUNT in answer.problems:
        return Fault("shape", answer.problems[COUNT], wanted, outcome, COUNT)
    if answer.count != right[COUNT]:
        return Fault("wrong", f"{COUNT} {answer.count}", wanted, outcome, COUNT)
    return None


def judge_order(args: Args, outcomes: Sequence[Outcome]) -> Fault | None:
    """The five highest scores, highest first, each with the user it belongs to; equals in any order."""
    outcome, ranked = outcomes[0], metrics_args(args).ranked
    wanted = _wanted_performers(ranked[:TOP], "highest scores first")
    fault, performers = _read_list(outcome, wanted)
    if fault:
        return fault
    got = f"scores {_scores(performers)}"
    if len(performers) != len(ranked[:TOP]):
        return Fault("wrong", f"{count(len(performers), 'performer')} with {got}", wanted, outcome, "length")
    owners = find_owners(performers, _leaders(ranked))
    for place, (theirs, owner) in enumerate(zip(performers, owners, strict=True)):
        if not is_close(theirs[SCORE], ranked[place][SCORE]):
            return Fault("wrong", got, wanted, outcome, "order")
        if owner is None:
            return Fault("wrong", _wrong_fields(theirs), wanted, outcome, "fields")
        if not is_tied(owner[SCORE], ranked[place][SCORE]):
            return Fault("wrong", got, wanted, outcome, "order")
    return None


def judge_members(args: Args, outcomes: Sequence[Outcome]) -> Fault | None:
    """At most five active users: all of them with their scores and own fields, in any order."""
    outcome, ranked = outcomes[0], metrics_args(args).ranked
    wanted = _wanted_performers(ranked, "scores in any order")
    fault, performers = _read_list(outcome, wanted)
    if fault:
        return fault
    if len(performers) != len(ranked):
        got = f"{count(len(performers), 'performer')} with scores {_scores(performers)}"
        return Fault("wrong", got, wanted, outcome, "length")
    owners = find_owners(performers, ranked)
    stranger = next((theirs for theirs, owner in zip(performers, owners, strict=True) if owner is None), None)
    if stranger is not None:
        return Fault("wrong", _wrong_fields(stranger), wanted, outcome, "fields")
    return None


def _wanted_performers(ranked: Sequence[dict[str, Any]], how: str) -> str:
    return f"the {len(ranked)} {how}: {_scores(ranked)}, each with the user's own fields"


def _scores(performers: Sequence[dict[str, Any]]) -> str:
    return ", ".join(show(round(each[SCORE], 4)) for each in performers[:12])


def _read_list(outcome: Outcome, wanted: str) -> tuple[Fault | None, list[dict[str, Any]]]:
    """The performers, when they are a list of dicts with scores."""
    fault = crash(outcome, wanted)
    if fault:
        return fault, []
    answer = read(outcome.value)
    for name in (PERFORMERS, SCORE):
        if name in answer.problems:
            return Fault("shape", answer.problems[name], wanted, outcome, name), []
    return None, answer.performers


def _wrong_fields(performer: dict[str, Any]) -> str:
    missing = [key for key in KEYS if key not in performer]
    what = f"performers without {', '.join(missing)}" if missing else "a score attached to another user"
    return f"{what}: {show(performer, 150)}"


def is_tied(one: float, other: float) -> bool:
    """Whether two right scores are too close to ask for an order: equal when rounded, or as floats go."""
    return abs(one - other) <= ROUNDED or isclose(one, other, rel_tol=1e-13)


def _leaders(ranked: Sequence[dict[str, Any]]) -> Sequence[dict[str, Any]]:
    """The five best and whoever is tied with the last of them."""
    if len(ranked) <= TOP:
        return ranked
    last = ranked[TOP - 1][SCORE]
    end = next((i for i in range(TOP, len(ranked)) if not is_tied(ranked[i][SCORE], last)), len(ranked))
    return ranked[:end]


def find_owners(
    performers: Sequence[dict[str, Any]], users: Sequence[dict[str, Any]]
) -> list[dict[str, Any] | None]:
    """The user whose fields and score each performer carries, each user once; None where there is none."""
    left = list(users)
    owners: list[dict[str, Any] | None] = []
    for performer in performers:
        place = next(
            (
                i
                for i, user in enumerate(left)
                if is_close(performer[SCORE], user[SCORE]) and has_fields(performer, user)
            ),
            None,
        )
        owners.append(None if place is None else left.pop(place))
    return owners


def has_fields(performer: dict[str, Any], user: dict[str, Any]) -> bool:
    """Whether a performer carries the user's own fields unchanged."""
    return all(key in performer and equal(performer[key], user[key]) for key in user if key != SCORE)


def judge_nobody(args: Args, outcomes: Sequence[Outcome]) -> Fault | None:
    """Count 0, average 0, no performers."""
    outcome = outcomes[0]
    wanted = f"{AVERAGE} 0, {PERFORMERS} [], {COUNT} 0"
    fault = crash(outcome, wanted)
    if fault:
        return fault
    wrong = not_empty(read(outcome.value))
    if not wrong:
        return None
    return Fault("wrong", "; ".join(dict.fromkeys(wrong.values())), wanted, outcome, ",".join(wrong))


def judge_few(args: Args, outcomes: Sequence[Outcome]) -> Fault | None:
    """One to five active users: exactly those, in any order and with whatever score."""
    outcome = outcomes[0]
    users = args[0]
    wanted = f"exactly the {len(users)} active users as performers, {COUNT} {len(users)}"
    fault = crash(outcome, wanted)
    if fault:
        return fault
    answer = read(outcome.value)
    for name in (PERFORMERS, COUNT):
        if name in answer.problems:
            return Fault("shape", answer.problems[name], wanted, outcome, name)
    if len(answer.performers) != len(users) or answer.count != len(users):
        got = f"{count(len(answer.performers), 'performer')}, {COUNT} {answer.count}"
        return Fault("wrong", got, wanted, outcome, "length")
    carries_fields = all(key in each for each in answer.performers for key in KEYS)
    if carries_fields and not all(
        any(has_fields(each, user) for each in answer.performers) for user in users
    ):
        return Fault("wrong", f"performers {show(answer.performers, 200)}", wanted, outcome, "fields")
    return None


def right_fields(args: Args, outcome: Outcome) -> set[str]:
    """Which of the three fields are right on a plain case."""
    if not outcome.ok:
        return set()
    right = right_answer(args)
    answer = read(outcome.value)
    found = set()
    if AVERAGE not in answer.problems and is_close(answer.average, right[AVERAGE]):
        found.add(AVERAGE)
    if COUNT not in answer.problems and answer.count == right[COUNT]:
        found.add(COUNT)
    if PERFORMERS not in answer.problems and len(answer.performers) == len(right[PERFORMERS]) == TOP:
        pairs = zip(right[PERFORMERS], answer.performers, strict=True)
        if all(has_fields(theirs, mine) for mine, theirs in pairs):
            found.add(PERFORMERS)
    return found
