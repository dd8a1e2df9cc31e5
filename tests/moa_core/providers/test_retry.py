"""When a request is sent again, and what waiting times servers ask for."""

from datetime import UTC, datetime
from random import Random

import pytest

from moa_core.errors import ConnectFailed, RateLimited, ServerFailed, TimedOut, WrongKey
from moa_core.providers.retry import RetryPolicy, asked_wait_s, parse_duration_s

NOW = datetime(2025, 10, 21, 7, 28, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "expected_s"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "Tue, 21 Oct 2025 07:28:30 GMT"}, 30.0),
        ({"retry-after": "Tue, 21 Oct 2025 07:00:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({}, None),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m2s"}, 62.0),
        ({"x-ratelimit-remaining-tokens-minute": "0", "x-ratelimit-reset-tokens-minute": "12.5"}, 12.5),
        ({"x-ratelimit-remaining-requests": "3", "x-ratelimit-reset-requests": "60"}, None),
    ],
)
def test_asked_wait(headers, expected_s):
    assert asked_wait_s(headers, NOW) == expected_s


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("20ms", 0.02),
        ("6m0s", 360.0),
        ("1h30m", 5400.0),
        ("1.5s", 1.5),
        ("17", 17.0),
        ("x", None),
        ("5 s", None),
    ],
)
def test_durations_as_services_write_them(text, seconds):
    assert parse_duration_s(text) == seconds


def test_backoff_doubles_up_to_its_cap_with_jitter_between_half_and_whole():
    policy = RetryPolicy(attempts=10, base_s=1.0, cap_s=4.0, random=Random(1))

    waits = [policy.wait_s(ServerFailed("x", 503), attempt) for attempt in range(1, 6)]

    for wait, whole in zip(waits, (1.0, 2.0, 4.0, 4.0, 4.0), strict=True):
        assert whole / 2 <= wait <= whole
    assert len(set(waits)) == 5


@pytest.mark.parametrize(
    ("error", "is_tried"),
    [
        (ServerFailed("x", 500), True),
        (ServerFailed("x", 408), True),
        (RateLimited("x"), True),
        (RateLimited("x", retry_after_s=5.0), True),
        (RateLimited("x", retry_after_s=500.0), False),
        (ConnectFailed("x"), True),
        (TimedOut("x", "connect", 1.0), True),
        (TimedOut("x", "first token", 1.0), False),
        (WrongKey("x"), False),
    ],
    ids=str,
)
def test_only_passing_faults_are_tried_again(error, is_tried):
    assert (RetryPolicy().wait_s(error, 1) is not None) == is_tried


def test_last_attempt_is_final():
    policy = RetryPolicy(attempts=3)

    assert policy.wait_s(ServerFailed("x", 500), 2) is not None
    assert policy.wait_s(ServerFailed("x", 500), 3) is None


def test_asked_wait_is_never_shortened():
    assert RetryPolicy(base_s=0.1).wait_s(RateLimited("x", retry_after_s=9.0), 1) == 9.0
