"""Every exception of httpx has an error of ours, and every error of ours may be shown to a user."""

import inspect

import httpx
import pytest

from moa_core import errors
from moa_core.providers.http_errors import scrub, status_error, stream_error, translated

OURS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Exception)]
# What can happen to a request; the others say that the library was misused.
THEIRS = [
    kind
    for _, kind in inspect.getmembers(httpx, inspect.isclass)
    if issubclass(kind, httpx.HTTPError | httpx.InvalidURL) and kind is not httpx.HTTPStatusError
]


def test_all_errors_hang_in_one_tree():
    assert len(OURS) > 15
    assert all(issubclass(kind, errors.MoAError) for kind in OURS)


@pytest.mark.parametrize("kind", THEIRS, ids=lambda kind: kind.__name__)
def test_every_exception_of_httpx_is_translated(kind):
    with pytest.raises(errors.CallFailed) as caught, translated("cloud", 3.0):
        raise kind("details")

    assert isinstance(caught.value.__cause__, kind)
    assert str(caught.value).startswith("cloud")


def test_the_list_of_httpx_exceptions_is_not_empty():
    assert {httpx.ConnectError, httpx.ReadError, httpx.ConnectTimeout, httpx.RemoteProtocolError} <= set(
        THEIRS
    )


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error": {"message": "why"}}', "why"),
        (b'{"error": "why"}', "why"),
        (b'{"message": "why"}', "why"),
        (b'{"detail": [1, 2]}', "[1, 2]"),
        (b'[{"error": {"message": "why"}}]', "why"),
        (b'{"message": "a \\ud83d"}', "a ?"),
        (b"plain why", "plain why"),
        (b"<!DOCTYPE html><html><body>x</body></html>", ""),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"", ""),
    ],
)
def test_what_the_server_said_is_found(body, said):
    text = str(status_error("cloud", "m", 500, {}, body, ""))

    assert text == (f"cloud failed (500): {said}" if said else "cloud failed (500)")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"message": "x", "code": 429}, errors.RateLimited),
        ({"message": "x", "code": "rate_limit_exceeded"}, errors.RateLimited),
        ({"message": "x", "code": "401"}, errors.WrongKey),
        ({"message": "x", "code": "model_not_found"}, errors.ModelNotFound),
        ({"message": "x"}, errors.ServerFailed),
        ("x", errors.ServerFailed),
    ],
)
def test_error_object_in_a_stream_is_classified(error, kind):
    assert type(stream_error("cloud", "m", error, "")) is kind


def test_long_texts_are_shortened_and_keys_cut_out():
    assert scrub("a KEY b\n\nKEY", "KEY") == "a *** b ***"
    assert len(scrub("x" * 1000, "")) == 300
