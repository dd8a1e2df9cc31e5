"""Text from models and people must not gain power over the page."""

from __future__ import annotations

import pytest

from pages.state.text import as_markdown, as_plain, count, seconds, size


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("costs $5 or $6", r"costs \$5 or \$6"),
        ("![x](https://example.org/a.png)", r"!\[x](https://example.org/a.png)"),
        ("# Title\ntext", "#### Title\ntext"),
        ("#### small", "#### small"),
        (":red[alarm] :material/home:", r"\:red[alarm] \:material/home:"),
        ("at 10:30: ready", "at 10:30: ready"),
        ("say:red now", r"say\:red now"),
        ("plain **bold**", "plain **bold**"),
    ],
    ids=["formula", "image", "heading", "small heading", "directive", "clock", "bare directive", "markdown"],
)
def test_prose_is_escaped(written: str, shown: str) -> None:
    assert as_markdown(written) == shown


@pytest.mark.parametrize(
    "code",
    ["```python\nx = '$1 $2'\n# comment\n```", "`$x$`", "~~~\n![a](b)\n~~~", "```\nstill streaming $a$"],
    ids=["fence", "inline", "tildes", "open fence"],
)
def test_code_is_left_as_it_is(code: str) -> None:
    assert as_markdown(f"See:\n\n{code}") == f"See:\n\n{code}"


def test_prose_after_a_closed_fence_is_escaped_again() -> None:
    assert as_markdown("```\n$a\n```\n$b") == "```\n$a\n```\n\\$b"


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("a*b_[c](d) $e", r"a\*b\_\[c\](d) \$e"),
        ("no-such-model:1", "no-such-model:1"),
        ("say:red", r"say\:red"),
        ("two\nlines", "two lines"),
        ("- item", r"\- item"),
        ("1. item", r"1\. item"),
        ("a -> b -- c", r"a \-\> b \-- c"),
        (":smile:", r"\:smile:"),
    ],
)
def test_a_name_shows_just_its_characters(written: str, shown: str) -> None:
    assert as_plain(written) == shown


def test_amounts_read_naturally() -> None:
    assert [seconds(s) for s in (0.123, 1.26, 12.4, 125.0)] == ["0.12 s", "1.3 s", "12 s", "2 min 05 s"]
    assert [size(n) for n in (98_362_432, 1_117_320_768)] == ["98 MB", "1.1 GB"]
    assert [count(1, "agent"), count(1204, "token")] == ["1 agent", "1,204 tokens"]
