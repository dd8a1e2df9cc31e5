"""A setup in a link: the same on the other side, and nothing else is taken for one."""

from __future__ import annotations

import base64
import zlib

import pytest

from moa_core import Agent, ConfigError, MoAConfig
from pages.state.setup_link import MAX_LINK_CHARS, link, pack, unpack


def test_a_setup_comes_back_equal() -> None:
    assert unpack(pack(MoAConfig.default())) == MoAConfig.default()


def test_the_setup_the_app_starts_with_fits_a_qr_code() -> None:
    found = link("https://workshop.example/agents", MoAConfig.default())
    assert found is not None
    assert len(found) < 2300


def test_a_setup_that_is_too_long_has_no_link() -> None:
    noise = base64.b64encode(bytes(range(256)) * 40 + zlib.compress(b"x" * 9)).decode()
    prompt = "".join(chr(0x4E00 + (ord(c) * 7919 + n * 104729) % 20000) for n, c in enumerate(noise))
    assert link("https://workshop.example/agents", MoAConfig(summarizer=Agent("S", prompt=prompt))) is None


@pytest.mark.parametrize(
    "packed",
    [
        "",
        "!!!",
        pack(MoAConfig.default())[:-20],
        "A" * (MAX_LINK_CHARS + 1),
        base64.urlsafe_b64encode(zlib.compress(b"0" * 50_000_000)).decode()[:MAX_LINK_CHARS],
        base64.urlsafe_b64encode(zlib.compress(b"[]")).decode(),
    ],
    ids=["nothing", "no letters of a link", "cut off", "too long", "a bomb", "no setup"],
)
def test_what_is_no_setup_is_refused(packed: str) -> None:
    with pytest.raises(ConfigError):
        unpack(packed)
