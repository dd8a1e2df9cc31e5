"""Nicknames: what is one, and which two are the same to the eye."""

from __future__ import annotations

import pytest

from grader.competition import BadNickname, NicknameTaken, Store, clean_nickname, skeleton
from tests.grader.competition.samples import join, open_round

SAME = [
    ("Anna", "ANNA"),
    ("Anna", "Аnnа"),  # Cyrillic А and а
    ("Anna", "Ａｎｎａ"),  # full width
    ("Anna", "𝓐𝓷𝓷𝓪"),  # mathematical script
    ("Anna", "Ánnà"),
    ("Anna", "A n n a"),
    ("Anna", "A.n-n_a"),
    ("paypal", "раураl"),  # the classic of the homograph attacks, in Cyrillic
    ("Otto", "0tt0"),
    ("Otto", "Οττο"),  # Greek
    ("Bill", "B1ll"),
    ("Bill", "BIII"),
    ("Straße", "STRASSE"),
    ("Tim", "Tirn"),
    ("ﬁne", "fine"),  # a ligature
    ("Ⅳ", "IV"),
]
DIFFERENT = [
    ("Anna", "Anne"),
    ("Ada", "Eda"),
    ("李雷", "李蕾"),
    ("がくせい", "かくせい"),  # the dots of Japanese kana make another syllable
    ("कि", "की"),  # two vowel signs of Hindi
    ("محمد", "محمود"),
    ("🦊", "🐙"),
    ("Team 2", "Team 3"),
]
BAD = {
    "empty": "",
    "only spaces": "  \t ",
    "too long": "x" * 25,
    "a line break": "Ada\nLovelace",
    "a NUL": "Ada\x00",
    "an escape sequence": "\x1b[31mAda",
    "a right-to-left override": "Ada\u202egnp.exe",
    "a zero-width space": "A\u200bda",
    "a byte-order mark": "\ufeffAda",
    "only a Hangul filler": "\u3164",
    "only a Braille blank": "\u2800",
    "half a surrogate pair": "Ada\ud800",
    "a private character": "\ue000",
    "unassigned": "\U000e0fff",
    "a pile of accents": "A" + "\u0301" * 9,
    "only punctuation": "...",
}


@pytest.mark.parametrize(("one", "other"), SAME, ids=[f"{a} {b}" for a, b in SAME])
def test_what_looks_the_same_is_the_same(one: str, other: str) -> None:
    assert skeleton(one) == skeleton(other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT, ids=[f"{a} {b}" for a, b in DIFFERENT])
def test_what_looks_different_is_different(one: str, other: str) -> None:
    assert skeleton(one) != skeleton(other)


@pytest.mark.parametrize("text", BAD.values(), ids=BAD.keys())
def test_what_cannot_be_shown_is_refused(text: str) -> None:
    with pytest.raises(BadNickname):
        clean_nickname(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("  Ada   L. ", "Ada L."),
        ("Jose\u0301", "José"),
        ("<b>Ada</b>", "<b>Ada</b>"),
        ("[x](http://y)", "[x](http://y)"),
        ("x" * 24, "x" * 24),
    ],
)
def test_everything_else_is_kept_as_data(text: str, shown: str) -> None:
    assert clean_nickname(text) == shown


def test_a_lookalike_is_refused_in_the_same_round_only(store: Store) -> None:
    morning, afternoon = open_round(store), open_round(store, title="Afternoon")
    join(store, morning, "Anna")
    with pytest.raises(NicknameTaken, match="looks too much like Anna") as caught:
        join(store, morning, "Аnnа")
    assert (caught.value.holder, len(store.participants.of_round(morning.id))) == ("Anna", 1)
    assert join(store, afternoon, "Аnnа").nickname == "Аnnа"


def test_a_nickname_goes_through_the_database_unchanged(store: Store) -> None:
    made = open_round(store)
    for nickname in ("'; DROP TABLE rounds; --", "Ž𝕏🦊", "%s $1 :x"):
        join(store, made, nickname)
    assert [who.nickname for who in store.participants.of_round(made.id)] == [
        "'; DROP TABLE rounds; --",
        "Ž𝕏🦊",
        "%s $1 :x",
    ]
