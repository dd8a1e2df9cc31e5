"""People who come by a sign-in: one seat each, their real name on the board, no address anywhere."""

from __future__ import annotations

import csv
import io
from concurrent.futures import ThreadPoolExecutor

import pytest

from grader.competition import (
    Account,
    BadNickname,
    Disqualified,
    NotOpen,
    Refused,
    RoundFull,
    Store,
    WrongCode,
    backup,
    final_to_json,
    restore,
    to_csv,
    to_json,
)
from grader.competition.gradebook import to_gradebook
from grader.competition.nicknames import SKELETON_CHARS, readable_name, skeleton
from tests.grader.competition.samples import join, open_round, scored

ISSUER = "https://login.school.example"
ADA = Account(ISSUER, "1815", "Ada Lovelace")
BOB = Account(ISSUER, "7", "Bob")
CAT = Account(ISSUER, "9", "Cat")


def test_an_account_has_one_seat_from_every_browser(store: Store) -> None:
    made = open_round(store)
    ada, code = store.seats.enter(made.id, ADA)
    assert (ada.nickname, ada.person, len(code)) == ("Ada Lovelace", None, 14)
    assert store.seats.enter(made.id, ADA) == (ada, "")
    assert store.seats.of(made.id, ADA).participant == ada  # type: ignore[union-attr]
    assert store.seats.of(made.id, BOB) is None
    store.rounds.close(made.id)
    assert store.seats.enter(made.id, ADA) == (ada, "")
    with pytest.raises(NotOpen):
        store.seats.enter(made.id, BOB)


def test_two_people_of_one_name_get_a_number(store: Store) -> None:
    made = open_round(store)
    join(store, made, "ada lovelace")
    twins = [Account(ISSUER, str(number), "Ada Lovelace") for number in range(2)]
    assert [store.seats.enter(made.id, twin)[0].nickname for twin in twins] == [
        "Ada Lovelace 2",
        "Ada Lovelace 3",
    ]


def test_an_account_that_enters_many_times_at_once_sits_once(store: Store) -> None:
    made = open_round(store)
    with ThreadPoolExecutor(4) as pool:
        seats = list(pool.map(lambda _: store.seats.enter(made.id, ADA)[0].id, range(8)))
    assert len(set(seats)) == len(store.participants.of_round(made.id)) == 1


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"name": "Ada Lovelace"}, "Ada Lovelace"),
        ({"name": "ada@school.example", "given_name": "Ada", "family_name": "Lovelace"}, "Ada Lovelace"),
        ({"name": "ada@school.example", "preferred_username": "ada@school.example"}, ""),
        ({"preferred_username": "ada"}, "ada"),
        ({"name": "Ada\u202e\nLove\u200blace\x00"}, "Ada Lovelace"),
        ({"name": 5, "nickname": "A" * 100}, "A" * 60),
        ({}, ""),
    ],
    ids=["name", "an address for a name", "only addresses", "username", "invisible", "long", "none"],
)
def test_the_name_of_an_account_is_never_an_address(claims: dict[str, object], name: str) -> None:
    """The claims of OpenID Connect Core 1.0, section 5.1."""
    found = Account.from_claims({"iss": ISSUER, "sub": "1", "email": "ada@school.example", **claims})
    assert found == Account(ISSUER, "1", name)


@pytest.mark.parametrize("claims", [{}, {"iss": ISSUER}, {"iss": ISSUER, "sub": ""}, {"iss": 1, "sub": "x"}])
def test_without_issuer_and_subject_there_is_no_account(claims: dict[str, object]) -> None:
    assert Account.from_claims(claims) is None


def test_an_account_without_a_name_has_to_give_one(store: Store) -> None:
    made = open_round(store)
    with pytest.raises(BadNickname):
        store.seats.enter(made.id, Account(ISSUER, "1", ""))


def test_a_round_keeps_a_digest_that_no_other_round_has(store: Store) -> None:
    made = open_round(store)
    store.seats.enter(made.id, ADA)
    with store.database.reading() as connection:
        kept = connection.exec_driver_sql("SELECT account FROM participants").scalar_one()
    assert kept == ADA.key(made.uid) != ADA.key(store.rounds.copy(made.id).uid)
    assert Account(ISSUER, "181", "5").key("x") != Account(ISSUER, "1815", "").key("x")


def test_a_team_by_accounts_has_real_people_in_it(store: Store) -> None:
    made = open_round(store, team_size=2)
    team, code = store.seats.enter(made.id, ADA, "Blue")
    assert (team.nickname, team.person) == ("Blue", "Ada Lovelace")
    with pytest.raises(WrongCode):
        store.seats.join_team(made.id, BOB, "Blue", "2222-2222-2222")
    assert store.seats.join_team(made.id, BOB, "Blue", code) == team
    with pytest.raises(RoundFull):
        store.seats.join_team(made.id, CAT, "Blue", code)
    seat = store.seats.of(made.id, BOB)
    assert (seat.participant, seat.member) == (team, "Bob")  # type: ignore[union-attr]
    scored(store, team, "k", 50)
    assert [row.nickname for row in store.boards.board(made.id)] == ["Blue"]
    lines = csv.DictReader(io.StringIO(to_gradebook(store, made.id)))
    assert [(line["name"], line["team"], line["score"]) for line in lines] == [
        ("Ada Lovelace", "Blue", "50"),
        ("Bob", "Blue", "50"),
    ]


def test_nobody_sits_in_two_teams(store: Store) -> None:
    made = open_round(store, team_size=3)
    _, blue = store.seats.enter(made.id, ADA, "Blue")
    _, red = store.seats.enter(made.id, BOB, "Red")
    store.seats.join_team(made.id, CAT, "Blue", blue)
    for account in (ADA, CAT):
        with pytest.raises(Refused, match="in Blue; leave it first"):
            store.seats.join_team(made.id, account, "Red", red)
    store.seats.leave(made.id, CAT)
    store.seats.join_team(made.id, CAT, "Red", red)
    assert list(store.participants.members(made.id).values()) == [["Cat"]]


def test_whoever_made_a_team_hands_it_on_and_a_lonely_one_takes_it_back(store: Store) -> None:
    made = open_round(store, team_size=2)
    team, code = store.seats.enter(made.id, ADA, "Blue")
    store.seats.join_team(made.id, BOB, "Blue", code)
    scored(store, team, "k", 50)
    store.seats.leave(made.id, ADA)
    seat = store.seats.of(made.id, BOB)
    assert (seat.participant.person, seat.member) == ("Bob", None)  # type: ignore[union-attr]
    assert store.seats.of(made.id, ADA) is None
    with pytest.raises(Refused, match="alone"):  # its submission would be nobody's
        store.seats.leave(made.id, BOB)
    store.seats.enter(made.id, ADA, "Red")
    store.seats.leave(made.id, ADA)
    assert [who.nickname for who in store.participants.of_round(made.id)] == ["Blue"]


def test_whom_the_host_has_taken_out_cannot_begin_anew(store: Store) -> None:
    made = open_round(store, team_size=2)
    team, code = store.seats.enter(made.id, ADA, "Blue")
    store.seats.join_team(made.id, BOB, "Blue", code)
    store.participants.disqualify(team.id, "Pasted")
    for account in (ADA, BOB):
        with pytest.raises(Disqualified, match="Pasted"):
            store.seats.leave(made.id, account)


def test_a_member_with_a_nickname_leaves_and_what_the_team_submitted_stays(store: Store) -> None:
    made = open_round(store, team_size=2)
    team, code = store.participants.join(made.id, "Blue")
    store.participants.join_team(made.id, "Blue", code, "Ada")
    scored(store, team, "k", 50)
    store.participants.leave_team(team.id, "Ada")
    assert store.participants.members(made.id) == {}
    store.participants.join_team(made.id, "Blue", code, "Bob")  # there is room again
    store.rounds.close(made.id)
    with pytest.raises(NotOpen):
        store.participants.leave_team(team.id, "Bob")
    assert [row.nickname for row in store.boards.board(made.id)] == ["Blue"]


def test_an_entry_of_before_is_claimed_with_its_code_once(store: Store) -> None:
    made = open_round(store)
    ada, code = store.participants.join(made.id, "Ada")
    with pytest.raises(WrongCode):
        store.seats.claim(made.id, BOB, "Ada", "2222-2222-2222")
    assert store.seats.claim(made.id, ADA, "Ada", code) == ada
    assert store.seats.of(made.id, ADA).participant == ada  # type: ignore[union-attr]
    with pytest.raises(Refused, match="another account"):
        store.seats.claim(made.id, BOB, "Ada", code)


def test_accounts_come_back_to_a_restored_round_and_are_in_no_export(store: Store) -> None:
    made = open_round(store, team_size=2)
    long = Account(ISSUER, "3", "Maximiliane Charlotte von Oldenburg-Gottorp")
    team, code = store.seats.enter(made.id, ADA, "Blue")
    store.seats.join_team(made.id, long, "Blue", code)
    scored(store, team, "k", 50)
    store.rounds.close(made.id)
    final = store.finals.start(made.id, 1)
    texts = (to_csv(store, made.id), to_json(store, made.id), to_gradebook(store, made.id),
             final_to_json(store, final.id))  # fmt: skip
    for text in texts:
        assert ADA.key(made.uid) not in text
    file = backup(store, made.id)
    store.rounds.delete(made.id)
    restored = restore(store, file)
    seat = store.seats.of(restored.id, long)
    assert (seat.participant.nickname, seat.member) == ("Blue", long.name)  # type: ignore[union-attr]


def test_a_name_of_words_in_one_letter_is_stored_on_both_databases(store: Store) -> None:
    """U+FDFA is eighteen characters to NFKC, so 24 of them are more than the column holds."""
    made = open_round(store)
    assert len(skeleton("\ufdfa" * 24)) == SKELETON_CHARS
    assert join(store, made, "\ufdfa" * 24).number == 1
    assert readable_name("\ufdfa" * 90) == "\ufdfa" * 60
