"""Who is right: reading a returned result and holding it against the brief, or against the function
itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import isclose
from typing import Any

from grader.challenges.user_metrics.reference import FIELDS, KEYS, TOP, ranked_users, summary
from grader.grading.challenge import Args, Fault, Outcome
from grader.grading.display import show
from grader.grading.judges import crash, equal, is_number, judge_unchanged

AVERAGE, PERFORMERS, COUNT = FIELDS
SCORE = "engagement_score"
RELATIVE = 1e-6
MOST = 2500
"""A longer list of performers is not read: no input has so many users."""
ROUNDED = 0.01
"""How far a mean of scores that were each rounded to two decimals, rounded again, can lie from the exact
mean."""


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


def is_close(got: Any, expected: float) -> bool:
    """Numerically equal: 1e-6 relative, or equal after rounding to two decimals."""
    if not is_number(got):
        return False
    return isclose(got, expected, rel_tol=RELATIVE, abs_tol=1e-9) or abs(got - expected) <= ROUNDED + 1e-9


SMALL_LIST = 50
"""Lists with bad users are far shorter; comparing takes the square of the length."""


@dataclass
class MetricsResult:
    """A returned result, field by field. problems: what is wrong with the form of a field, by its name."""

    average: float = 0.0
    performers: list[dict[str, Any]] = field(default_factory=list)
    count: int = 0
    problems: dict[str, str] = field(default_factory=dict)

    @property
    def has_form(self) -> bool:
        """Whether it is a result at all: a dict in which at most one of the three fields is ill-formed."""
        return sum(name in self.problems for name in FIELDS) <= 1


def _why_formless(answer: MetricsResult) -> str:
    return "; ".join(dict.fromkeys(answer.problems.values()))


def read(value: Any) -> MetricsResult:
    """Take a returned value apart; whatever is ill-formed becomes a problem of its field."""
    answer = MetricsResult()
    if not isinstance(value, dict):
        answer.problems = dict.fromkeys((*FIELDS, SCORE), f"the result is {show(value, 60)}, not a dict")
        return answer
    _read_average(value, answer)
    _read_count(value, answer)
    _read_performers(value, answer)
    return answer


def _read_average(value: dict[str, Any], answer: MetricsResult) -> None:
    if AVERAGE not in value:
        answer.problems[AVERAGE] = f"the key {AVERAGE!r} is missing"
    elif not is_number(value[AVERAGE]):
        answer.problems[AVERAGE] = f"{AVERAGE} is {show(value[AVERAGE], 40)}, not a finite number"
    else:
        answer.average = value[AVERAGE]


def _read_count(value: dict[str, Any], answer: MetricsResult) -> None:
    if COUNT not in value:
        answer.problems[COUNT] = f"the key {COUNT!r} is missing"
    elif not is_number(value[COUNT]) or value[COUNT] != int(value[COUNT]) or value[COUNT] < 0:
        answer.problems[COUNT] = f"{COUNT} is {show(value[COUNT], 40)}, not a count"
    else:
        answer.count = int(value[COUNT])


def _read_performers(value: dict[str, Any], answer: MetricsResult) -> None:
    found = value.get(PERFORMERS)
    if PERFORMERS not in value:
        answer.problems[PERFORMERS] = f"the key {PERFORMERS!r} is missing"
    elif isinstance(found, list) and len(found) > MOST:
        answer.problems[PERFORMERS] = f"{PERFORMERS} has {len(found):,} entries"
    elif not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        answer.problems[PERFORMERS] = f"{PERFORMERS} is {show(found, 80)}, not a list of dicts"
    else:
        answer.performers = found
        for each in found:
            if SCORE not in each:
                answer.problems[SCORE] = f"a performer has no {SCORE!r}"
            elif not is_number(each[SCORE]):
                answer.problems[SCORE] = (
                    f"a performer's {SCORE} is {show(each[SCORE], 40)}, not a finite number"
                )
    if PERFORMERS in answer.problems:
        answer.problems[SCORE] = answer.problems[PERFORMERS]


# against the brief


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
        return Fault("wrong", f"{len(performers)} performers with {got}", wanted, outcome, "length")
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
        got = f"{len(performers)} performers with scores {_scores(performers)}"
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
    wrong = _not_empty(read(outcome.value))
    if not wrong:
        return None
    return Fault("wrong", "; ".join(dict.fromkeys(wrong.values())), wanted, outcome, ",".join(wrong))


def _not_empty(answer: MetricsResult) -> dict[str, str]:
    """What keeps an answer from saying that nobody was active, by field."""
    wrong = {
        name: text
        for name, text in answer.problems.items()
        if name != SCORE or PERFORMERS not in answer.problems
    }
    if AVERAGE not in wrong and not is_close(answer.average, 0):
        wrong[AVERAGE] = f"{AVERAGE} {show(answer.average)}"
    if PERFORMERS not in wrong and answer.performers:
        wrong[PERFORMERS] = f"{len(answer.performers)} performers"
    if COUNT not in wrong and answer.count:
        wrong[COUNT] = f"{COUNT} {answer.count}"
    return wrong


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
        got = f"{len(answer.performers)} performers, {COUNT} {answer.count}"
        return Fault("wrong", got, wanted, outcome, "length")
    carries_fields = all(key in each for each in answer.performers for key in KEYS)
    if carries_fields and not all(
        any(has_fields(each, user) for each in answer.performers) for user in users
    ):
        return Fault("wrong", f"performers {show(answer.performers, 200)}", wanted, outcome, "fields")
    return None


# against the function itself


def judge_start_after_end(args: Args, outcomes: Sequence[Outcome]) -> Fault | None:
    """Nobody is active; a function that cannot say so for an ordinary empty range is charged elsewhere."""
    turned, ordinary = outcomes
    wanted = f"nobody is active when start lies after end: {PERFORMERS} [], {COUNT} 0"
    if not turned.ok and turned.kind == ordinary.kind and turned.error == ordinary.error:
        return None
    fault = crash(turned, wanted)
    if fault:
        return fault
    wrong = _not_empty(read(turned.value))
    same = _not_empty(read(ordinary.value)) if ordinary.ok else {}
    left = {name: text for name, text in wrong.items() if name not in same and name != AVERAGE}
    if AVERAGE in wrong and AVERAGE not in same and AVERAGE in read(turned.value).problems:
        left[AVERAGE] = wrong[AVERAGE]
    return (
        Fault("wrong", "; ".join(dict.fromkeys(left.values())), wanted, turned, ",".join(left))
        if left
        else None
    )


def judge_beside(
    outcomes: Sequence[Outcome], bad: int, *, strict: bool = False, agree: bool = False
) -> Fault | None:
    """Bad users harm nobody: outcomes[0] has them, outcomes[1] is the same without them.

    bad: how many bad users there are. strict: none of them may count as active. agree: the count must agree
    with the performers, if it does so without the bad users.
    """
    beside, alone = outcomes[0], outcomes[1]
    wanted = "no crash, finite numbers, and every healthy user as without the bad one"
    if strict:
        wanted += ", who is not active"
    fault = crash(beside, wanted)
    if fault:
        is_same = (beside.kind, beside.error, beside.line) == (alone.kind, alone.error, alone.line)
        return replace(fault, about="alone") if is_same else fault
    if not alone.ok:
        return crash(alone, "a result for the healthy users alone")
    with_bad, without = read(beside.value), read(alone.value)
    if not with_bad.has_form:
        return Fault("shape", _why_formless(with_bad), wanted, beside, "form")
    for name, text in with_bad.problems.items():
        if name not in without.problems:
            return Fault("shape", text, wanted, beside, name)
    return _compare(with_bad, without, bad, strict, agree, wanted, beside)


def _compare(
    with_bad: MetricsResult,
    without: MetricsResult,
    bad: int,
    strict: bool,
    agree: bool,
    wanted: str,
    outcome: Outcome,
) -> Fault | None:
    longest = max(len(with_bad.performers), len(without.performers))
    if longest > SMALL_LIST:
        return Fault("wrong", f"{longest:,} performers", wanted, outcome, "count")
    extra = list(with_bad.performers)
    for entry in without.performers:
        place = next((i for i, other in enumerate(extra) if _same_user(entry, other)), None)
        if place is None:
            found = show(with_bad.performers, 150)
            got = f"the healthy user {show(entry, 130)} is missing or changed in {found}"
            return Fault("wrong", got, wanted, outcome, "healthy")
        del extra[place]
    more = with_bad.count - without.count
    known = COUNT not in without.problems
    allowed = 0 if strict else bad
    if len(extra) > allowed or (known and not 0 <= more <= allowed):
        got = f"{COUNT} {with_bad.count} and {len(with_bad.performers)} performers; without the bad one "
        got += f"{without.count} and {len(without.performers)}"
        return Fault("wrong", got, wanted, outcome, "count")
    if agree and known and without.count == len(without.performers) and more != len(extra):
        got = f"{COUNT} {with_bad.count}, but {len(with_bad.performers)} performers"
        return Fault("wrong", got, f"{wanted}; the count agrees with the performers", outcome, "agreement")
    return None


def _same_user(entry: dict[str, Any], other: dict[str, Any]) -> bool:
    """Own fields and score as they were; keys of the submission's own, such as a rank, may differ."""
    return all(key in other and _same(entry[key], other[key]) for key in (*KEYS, SCORE) if key in entry)


def _same(one: Any, other: Any) -> bool:
    """Equal; lists and dicts exactly, in C: the submission says how long they are."""
    return bool(one == other) if isinstance(one, list | dict) else equal(one, other)


def judge_only_bad(args: Args, outcomes: Sequence[Outcome]) -> Fault | None:
    """Nobody but bad users: no crash, and no form that the same users without the flaw (outcomes[1]) do
    not get."""
    bad, healthy = outcomes
    wanted = "no crash and finite numbers"
    fault = crash(bad, wanted)
    if fault:
        return fault
    found, ordinary = read(bad.value), read(healthy.value)
    if not found.has_form:
        return Fault("shape", _why_formless(found), wanted, bad, "form")
    for name, text in found.problems.items():
        if name not in ordinary.problems:
            return Fault("shape", text, wanted, bad, name)
    return None


def judge_filled(args: Args, outcomes: Sequence[Outcome], bad: int) -> Fault | None:
    """`judge_beside`, and an incomplete user who is kept scores as with 0 for what is missing
    (outcomes[2])."""
    fault = judge_beside(outcomes[:2], bad, agree=True)
    if fault or not outcomes[2].ok:
        return fault
    beside, filled = read(outcomes[0].value), read(outcomes[2].value)
    if beside.problems or filled.problems:
        return None
    scores = [each[SCORE] for each in filled.performers]
    for entry in beside.performers:
        if not any(is_close(entry[SCORE], score) for score in scores):
            wanted = "the incomplete user left out, or counted with 0 for what is missing: scores "
            wanted += show(scores, 100)
            return Fault("wrong", f"{SCORE} {show(entry[SCORE])}", wanted, outcomes[0], "filled")
    return None


def judge_kept(args: Args, outcomes: Sequence[Outcome]) -> Fault | None:
    """The input is as it was, and what came back is a result: who does nothing changes nothing."""
    fault = judge_unchanged(args, outcomes)
    answer = read(outcomes[0].value) if outcomes[0].ok else None
    if fault or answer is None or answer.has_form:
        return fault
    wanted = f"a result with {', '.join(FIELDS)}, and the caller's data as it was"
    return Fault("shape", _why_formless(answer), wanted, outcomes[0], "form")


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
