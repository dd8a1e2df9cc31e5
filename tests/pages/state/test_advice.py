"""What people are told to do about an error."""

from __future__ import annotations

import pytest

from moa_core import errors
from pages.state.advice import advice

DAY = errors.RateLimited("the day's requests are used up", 39_600.0)


@pytest.mark.parametrize(
    ("error", "title"),
    [
        (errors.WrongKey("x"), "The server refuses the key"),
        (errors.RateLimited("x", 5.0), "Too many requests at once"),
        (DAY, "The key's allowance is used up"),
        (errors.QueueExceeded("x"), "The service is busy"),
        (errors.ServerMisconfigured("x", "vLLM"), "A model server is not set up right"),
        (errors.ConfigError("x"), "The setup is not complete"),
    ],
)
def test_each_kind_of_fault_has_its_own_advice(error: Exception, title: str) -> None:
    assert advice(error)[0] == title


def test_a_layer_that_failed_for_one_reason_gets_the_advice_on_that() -> None:
    same = errors.LayerFailed(1, {"a": "x", "b": "x"}, (DAY, DAY))
    mixed = errors.LayerFailed(1, {"a": "x", "b": "x"}, (DAY, errors.WrongKey("x")))
    assert advice(same) == advice(DAY)
    assert advice(mixed)[0] == advice(errors.LayerFailed(1, {"a": "x"}))[0] == "A whole layer failed"
