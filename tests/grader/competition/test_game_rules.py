"""Budgets, teams, practice, announcements, prizes, copies, receipts: what hosts ask of a round."""

from __future__ import annotations

from typing import Any

import pytest

from grader.competition import (
    NicknameTaken,
    NotOpen,
    OverBudget,
    Refused,
    RoundBudget,
    RoundFull,
    Store,
    TooMany,
    Use,
    WrongCode,
    backup,
    restore,
)
from tests.grader.competition.conftest import Clock
from tests.grader.competition.samples import generation, join, open_round, scored

STRICT = RoundBudget(tokens=200, calls=3, models=("small",), strategies=("layered",))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"tokens": 201}, "201 tokens where 200"),
        ({"n_calls": 4}, "4 calls where 3"),
        ({"models": ("small", "huge")}, "huge where only small"),
        ({"strategy": "best_of_n"}, "best_of_n where only layered"),
    ],
    ids=["tokens", "calls", "models", "strategy"],
)
def test_an_attempt_over_the_budget_is_refused_and_nothing_is_stored(
    store: Store, values: dict[str, Any], said: str
) -> None:
    made = open_round(store, budget=STRICT)
    ada = join(store, made, "Ada")
    within = {"tokens": 200, "n_calls": 3, "models": ("small",), "strategy": "layered"}
    with pytest.raises(OverBudget, match=said):
        store.submissions.add(ada.id, generation("a1", **{**within, **values}))
    assert store.submissions.of_participant(ada.id) == []
    assert store.submissions.add(ada.id, generation("a1", **within)).tokens == 200


def test_dollars_are_counted_over_all_submissions_of_a_participant(store: Store) -> None:
    """A million tokens cost 1,000 dollars, read or written: 100 of each are 20 cents an attempt."""
    made = open_round(store, budget=RoundBudget(dollars=0.5, prompt_price=1_000, completion_price=1_000))
    ada, bob = join(store, made, "Ada"), join(store, made, "Bob")
    for key in ("a1", "a2"):
        store.submissions.add(ada.id, generation(key, prompt_tokens=100))
    with pytest.raises(OverBudget, match=r"0\.60 dollars in all where 0\.50"):
        store.submissions.add(ada.id, generation("a3", prompt_tokens=100))
    assert store.submissions.add(bob.id, generation("b1", prompt_tokens=100)).id == 3


def test_a_budget_survives_its_text_and_says_its_rules() -> None:
    whole = RoundBudget(2_000, 7, ("a", "b"), ("layered",), 1.5, 0.1, 0.2, (("under 500", 500),))
    assert RoundBudget.from_json(whole.to_json()) == whole
    assert RoundBudget().to_json() == "{}"
    assert whole.rules[:2] == ["at most 2,000 tokens written an attempt", "at most 7 calls"]
    assert whole.problems(Use(None, None, ("a",), None)) == []


def test_a_rule_of_one_is_said_in_the_singular() -> None:
    assert RoundBudget(1, 1).rules == ["at most 1 token written an attempt", "at most 1 call"]
    assert str(TooMany(1)) == "the one submission of this round is used up"
    assert str(TooMany(2)) == "all 2 submissions of this round are used up"


@pytest.mark.parametrize(
    "text",
    ["[]", "{", '{"tokens": -1}', '{"tokens": true}', '{"models": [1]}', '{"other": 1}', '{"dollars": 1}',
     '{"classes": [["x", 0]]}', '{"classes": 5}', '{"tokens": NaN}', "[" * 100_000],
)  # fmt: skip
def test_what_is_no_budget_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        RoundBudget.from_json(text)


def test_a_class_of_budget_has_a_board_of_its_own(store: Store, clock: Clock) -> None:
    made = open_round(store)
    ada, bob = join(store, made, "Ada"), join(store, made, "Bob")
    scored(store, ada, "a1", 90, tokens=5_000)
    clock.wait(20)
    scored(store, ada, "a2", 40, tokens=300)
    scored(store, bob, "b1", 60, tokens=400)
    assert [row.nickname for row in store.boards.board(made.id)] == ["Ada", "Bob"]
    assert [(row.nickname, row.value) for row in store.boards.board(made.id, max_tokens=400)] == [
        ("Bob", 60),
        ("Ada", 40),
    ]


def test_a_team_has_one_entry_and_one_code(store: Store) -> None:
    made = open_round(store, team_size=2)
    team, code = store.participants.join(made.id, "Team Blue")
    with pytest.raises(WrongCode):
        store.participants.join_team(made.id, "Team Blue", "2222-2222-2222", "Ada")
    assert store.participants.join_team(made.id, "team blue", code.lower(), "Ada") == team
    with pytest.raises(RoundFull, match="at most 2 people"):
        store.participants.join_team(made.id, "Team Blue", code, "Bob")
    with pytest.raises(NicknameTaken):
        store.participants.join(made.id, "Аdа")  # looks like a member's name
    assert store.participants.members(made.id) == {team.id: ["Ada"]}
    scored(store, team, "k", 50)
    assert [row.nickname for row in store.boards.board(made.id)] == ["Team Blue"]


def test_members_of_a_team_are_in_the_backup(store: Store) -> None:
    made = open_round(store, team_size=3)
    team, code = store.participants.join(made.id, "Team Blue")
    store.participants.join_team(made.id, "Team Blue", code, "Ada")
    file = backup(store, made.id)
    store.rounds.delete(made.id)
    restored = restore(store, file)
    assert list(store.participants.members(restored.id).values()) == [["Ada"]]
    assert store.participants.join_team(restored.id, "Team Blue", code, "Bob").id != team.id


def test_many_who_join_a_team_at_once_are_not_too_many(store: Store) -> None:
    from concurrent.futures import ThreadPoolExecutor

    made = open_round(store, team_size=3)
    team, code = store.participants.join(made.id, "Team Blue")

    def try_to_join(number: int) -> bool:
        try:
            store.participants.join_team(made.id, "Team Blue", code, f"Person {number}")
        except RoundFull:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(try_to_join, range(4))) == 2
    assert len(store.participants.members(made.id)[team.id]) == 2


def test_practice_is_taken_before_the_start_and_forgotten_after(store: Store, clock: Clock) -> None:
    made = store.rounds.create("Morning", "user_metrics", has_practice=True, submission_limit=1)
    ada = join(store, made, "Ada")
    scored(store, ada, "p1", 100)
    assert [row.value for row in store.boards.board(made.id)] == [100]
    clock.wait(60)
    store.rounds.open(made.id)
    assert store.boards.board(made.id) == []
    scored(store, ada, "a1", 30)  # the limit of one does not count practice
    store.rounds.close(made.id)
    store.rounds.open(made.id)
    assert [row.value for row in store.boards.board(made.id)] == [30]
    store.rounds.close(made.id)
    with pytest.raises(NotOpen):
        store.submissions.add(ada.id, generation("late"))
    final = store.finals.start(made.id, 1)
    assert [job.expected_tokens for job in store.finals.pending(final.id)] == [100]


def test_an_announcement_is_one_line_and_can_be_taken_back(store: Store, clock: Clock) -> None:
    made = open_round(store)
    found = store.rounds.announce(made.id, "  Five\nminutes left ")
    assert (found.announcement, found.announced_ms) == ("Five minutes left", clock())
    assert store.rounds.announce(made.id, "").announcement == ""
    with pytest.raises(Refused, match="300"):
        store.rounds.announce(made.id, "x" * 301)


def test_prizes_are_for_boards_that_exist(store: Store) -> None:
    made = open_round(store)
    found = store.rounds.set_prizes(made.id, [("Golden wafer", "final"), ("Miser", "thrifty")])
    assert found.prize_list == [("Golden wafer", "final"), ("Miser", "thrifty")]
    for wrong in ([("", "best")], [("x", "biggest")], [("x", "best")] * 11):
        with pytest.raises(Refused):
            store.rounds.set_prizes(made.id, wrong)


def test_a_copy_has_the_rules_and_other_cases(store: Store) -> None:
    made = open_round(store, submission_limit=4, budget=STRICT, team_size=2, title="x" * 80)
    join(store, made, "Ada")
    copy = store.rounds.copy(made.id)
    assert (copy.submission_limit, copy.limits, copy.team_size) == (4, STRICT, 2)
    assert (copy.seed == made.seed, copy.opens_ms, copy.title) == (False, None, f"{'x' * 73}, again")
    assert store.participants.of_round(copy.id) == []


def test_a_deletion_is_receipted(store: Store, clock: Clock) -> None:
    made = open_round(store)
    scored(store, join(store, made, "Ada"), "a1", 50)
    store.rounds.close(made.id)
    store.finals.start(made.id, 2)
    receipt = store.rounds.delete(made.id)
    assert receipt["deleted"] == {
        "participants": 1,
        "team_members": 0,
        "submissions": 1,
        "grades": 1,
        "finals": 1,
        "final_runs": 0,
    }
    assert (receipt["uid"], receipt["deleted_at"]) == (made.uid, "2027-01-15T08:00:00.000+00:00")
