"""Codes and the host's password: compared safely, never kept, never written anywhere."""

from __future__ import annotations

import gzip
import logging
import re
from pathlib import Path

import pytest

from grader.competition import (
    AttemptLimiter,
    Refused,
    Source,
    Store,
    WrongCode,
    backup,
    browser_token,
    host_key_problem,
    is_host_key,
    is_same_password,
    sources,
    to_csv,
    to_json,
)
from grader.competition.codes import hash_code, is_code, new_code
from grader.competition.models import Base
from grader.competition.password import FREE_TRIES
from tests.grader.competition.samples import open_round, scored


class SecondHand:
    """Seconds that go by only when a test says so."""

    s = 0.0

    def __call__(self) -> float:
        return self.s


def test_a_code_is_readable_and_never_the_same() -> None:
    codes = {new_code() for _ in range(200)}
    assert len(codes) == 200
    assert all(re.fullmatch(r"([2-9A-HJKMNP-TV-Z]{4}-){2}[2-9A-HJKMNP-TV-Z]{4}", code) for code in codes)


def test_a_code_is_taken_however_it_is_typed() -> None:
    hashed = hash_code("K7QM-2XRD-9FHB")
    assert is_code("k7qm 2xrd 9fhb", hashed)
    assert not is_code("K7QM-2XRD-9FHC", hashed)
    assert not is_code("", hashed)


def test_the_same_code_is_hashed_differently_each_time() -> None:
    assert hash_code("K7QM-2XRD-9FHB") != hash_code("K7QM-2XRD-9FHB")


def test_the_code_brings_its_owner_back_and_nobody_else(store: Store) -> None:
    made = open_round(store)
    ada, code = store.participants.join(made.id, "Ada")
    other = store.participants.join(made.id, "Bob")[1]
    assert store.participants.come_back(made.id, " ada ", code.lower()) == ada
    for nickname, wrong in (("Ada", other), ("Nobody", code), ("Ada", "")):
        with pytest.raises(WrongCode):
            store.participants.come_back(made.id, nickname, wrong)


def test_a_new_code_replaces_a_lost_one(store: Store) -> None:
    made = open_round(store)
    ada, lost = store.participants.join(made.id, "Ada")
    code = store.participants.new_code(ada.id)
    assert store.participants.come_back(made.id, "Ada", code) == ada
    with pytest.raises(WrongCode):
        store.participants.come_back(made.id, "Ada", lost)


def test_guessing_a_code_has_to_wait(store: Store) -> None:
    made = open_round(store)
    code = store.participants.join(made.id, "Ada")[1]
    for _ in range(FREE_TRIES):
        with pytest.raises(WrongCode):
            store.participants.come_back(made.id, "Ada", "2222-2222-2222")
    with pytest.raises(Refused, match="too many wrong codes"):
        store.participants.come_back(made.id, "Аda", code)  # a lookalike has no count of its own


def test_wrong_codes_of_one_session_keep_nobody_else_out(store: Store) -> None:
    made = open_round(store, team_size=2)
    ada, code = store.participants.join(made.id, "Ada")
    for _ in range(FREE_TRIES):
        with pytest.raises(WrongCode):
            store.participants.come_back(made.id, "Ada", "2222-2222-2222", session="guesser")
    with pytest.raises(Refused, match="too many wrong codes"):
        store.participants.come_back(made.id, "Ada", code, session="guesser")
    with pytest.raises(Refused, match="too many wrong codes"):
        store.participants.join_team(made.id, "Ada", code, "Eve", session="guesser")
    assert store.participants.come_back(made.id, "Ada", code, session="Ada's phone") == ada
    assert store.participants.join_team(made.id, "Ada", code, "Bob", session="Bob's phone") == ada


GUESSER, HOST = Source("session a"), Source("session b")


def test_a_source_waits_after_five_wrong_tries() -> None:
    clock = SecondHand()
    limiter = AttemptLimiter(clock)
    assert [limiter.attempt(lambda: False, GUESSER) for _ in range(4)] == [False] * 4
    assert limiter.wait_s(GUESSER) == 0
    limiter.attempt(lambda: False, GUESSER)
    assert limiter.wait_s(GUESSER) == 30
    assert not limiter.attempt(lambda: True, GUESSER)  # not even the right one
    clock.s = 30
    assert not limiter.attempt(lambda: False, GUESSER)
    assert limiter.wait_s(GUESSER) == 60
    clock.s = 90
    assert limiter.attempt(lambda: True, GUESSER)
    assert (limiter.wait_s(GUESSER), limiter.attempt(lambda: True, GUESSER)) == (0, True)


def test_a_guesser_keeps_nobody_else_waiting() -> None:
    limiter = AttemptLimiter(SecondHand())
    for _ in range(30):
        limiter.attempt(lambda: False, GUESSER)
    assert limiter.wait_s(HOST) == 0
    assert limiter.attempt(lambda: True, HOST)


def test_new_sessions_of_one_address_are_slowed_down_together() -> None:
    limiter = AttemptLimiter(SecondHand())
    tries = [sources(f"s{number}", "10.0.0.7", "", "right") for number in range(40)]
    for each in tries:
        limiter.attempt(lambda: False, *each)
    assert limiter.wait_s(*tries[0]) == 30
    assert limiter.wait_s(*sources("s41", "10.0.0.7", "", "right")) == 30
    assert limiter.wait_s(*sources("s42", "10.0.0.8", "", "right")) == 0


@pytest.mark.parametrize(
    ("first", "second", "is_one"),
    [
        ("2001:db8:1:2::a", "2001:db8:1:2:ffff::b", True),
        ("2001:db8:1:2::a", "2001:db8:1:3::a", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("::ffff:10.0.0.7", "10.0.0.7", True),
        ("::ffff:10.0.0.7", "::ffff:10.0.0.8", False),
        ("10.0.0.7", "10.0.0.8", False),
        ("unix:", "unix:", True),
    ],
)
def test_addresses_that_one_connection_has_are_counted_together(
    first: str, second: str, is_one: bool
) -> None:
    limiter = AttemptLimiter(SecondHand())
    for number in range(20):
        limiter.attempt(lambda: False, *sources(f"s{number}", first, "", "right"))
    assert (limiter.wait_s(*sources("new", second, "", "right")) > 0) is is_one


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("fJ2xQ8vRk1ZtYw6sBn4mLc7pHd9gAe3u", None),
        ("0123456789abcdef" * 2, None),
        ("", "0 characters"),
        ("fJ2xQ8vRk1ZtYw6sBn4mLc7pHd9gAe3", "31 characters"),
        ("host" * 10, "4 different"),
        ("aB3dE6gH9" * 40, "360 characters"),
    ],
)
def test_a_host_key_is_long_and_varied_or_opens_nothing(key: str, said: str | None) -> None:
    assert is_host_key(key, key) is (said is None)
    assert (said or "") in (host_key_problem(key) or "")
    assert not is_host_key(key[:-1], key)
    assert not is_host_key("", None)


def test_a_guesser_at_the_hosts_address_cannot_shut_out_the_hosts_browser() -> None:
    limiter = AttemptLimiter(SecondHand())
    token = browser_token("right")
    for number in range(40):
        limiter.attempt(lambda: False, *sources(f"s{number}", "10.0.0.7", "", "right"))
    mine = sources("s99", "10.0.0.7", token, "right")
    assert limiter.wait_s(*mine) == 0
    for forged in (token[:-1] + ("0" if token[-1] != "0" else "1"), "x.y", "é.é", "", "."):
        assert limiter.wait_s(*sources("s99", "10.0.0.7", forged, "right")) == 30
    assert limiter.wait_s(*sources("s99", "10.0.0.7", token, "another password")) == 30


def test_a_wait_never_grows_beyond_a_quarter_of_an_hour() -> None:
    clock = SecondHand()
    limiter = AttemptLimiter(clock)
    for _ in range(40):
        limiter.attempt(lambda: False, GUESSER)
        clock.s += limiter.wait_s(GUESSER)
    limiter.attempt(lambda: False, GUESSER)
    assert limiter.wait_s(GUESSER) == 900


@pytest.mark.parametrize(
    ("given", "expected", "is_same"),
    [("s3cret", "s3cret", True), ("s3cre", "s3cret", False), ("S3CRET", "s3cret", False), ("", "", False)],
)
def test_passwords_are_compared_as_they_are_and_an_empty_one_opens_nothing(
    given: str, expected: str, is_same: bool
) -> None:
    assert is_same_password(given, expected) is is_same


def test_a_code_is_in_no_file_no_export_and_no_log(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    made = open_round(store)
    ada, code = store.participants.join(made.id, "Ada")
    scored(store, ada, "a1", 50)
    store.participants.come_back(made.id, "Ada", code)
    with store.database.reading() as connection:
        hashed = connection.exec_driver_sql("SELECT code_hash FROM participants").scalar_one()
        rows = [
            str(connection.exec_driver_sql(f"SELECT * FROM {table.name}").all())
            for table in Base.metadata.sorted_tables
        ]
    assert hashed in "".join(rows)
    store.close()
    plain = code.replace("-", "")
    files = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.is_file())
    saved = gzip.decompress(backup(store, made.id))
    exports = (to_csv(store, made.id) + to_json(store, made.id)).encode()
    for text in (files, "".join(rows).encode(), saved, exports, caplog.text.encode(), repr(ada).encode()):
        assert code.encode() not in text
        assert plain.encode() not in text
    assert hashed.encode() not in exports + caplog.text.encode() + repr(ada).encode()
    assert hashed.encode() in saved
