"""Chat templates that never end, or write without end: each is refused when it is loaded, in words."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.wse_backend.tiny_gguf import metadata
from wse_backend.errors import BrokenTemplate
from wse_backend.weights.chat_template import ChatTemplate
from wse_backend.weights.tokenizer import Tokenizer

GROW = "{% set ns = namespace(x='ab') %}{% for i in range(60) %}{% set ns.x = BODY %}{% endfor %}{{ ns.x }}"
TEXT, ENDLESS = "builds a text of more than", "loops or calls without end"
WIDTH, NUMBER = "formats with a width", "a number beyond 10,000"


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    file: Any = SimpleNamespace(metadata=metadata("llama"), path=Path("v.gguf"))
    return Tokenizer.from_gguf(file)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", ENDLESS),
        ("{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(60) }}", ENDLESS),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "recursion"),
        ("{{ 'a' * 10000000000 }}", TEXT),
        ("{{ [1] * 10000000000 }}", TEXT),
        (GROW.replace("BODY", "ns.x + ns.x"), TEXT),
        (GROW.replace("BODY", "ns.x ~ ns.x"), TEXT),
        (GROW.replace("BODY", "ns.x.replace('a', 'a' * 99)"), TEXT),
        (GROW.replace("BODY", "ns.x|replace('a', 'a' * 99)"), TEXT),
        (GROW.replace("BODY", "[ns.x, ns.x]|join(ns.x)"), TEXT),
        (GROW.replace("BODY", "ns.x.join([ns.x, ns.x])"), TEXT),
        (GROW.replace("BODY", "'%s%s' % (ns.x, ns.x)"), TEXT),
        (GROW.replace("BODY", "'{}{}'.format(ns.x, ns.x)"), TEXT),
        ("{% set x = 'a' * 9000000 %}{% for i in range(99) %}{{ x }}{% endfor %}", TEXT),
        ("{{ ('\t' * 1000000).expandtabs(9999) }}", TEXT),
        ("{{ '%1000000000s' % 'x' }}", WIDTH),
        ("{{ '{:1000000000}'.format('x') }}", WIDTH),
        ("{{ '{:{w}}'.format('x', w=1000000000) }}", NUMBER),
        ("{{ 'x'.center(10000000000) }}", NUMBER),
        ("{{ range(9)|batch(1000000000, 'x')|list }}", NUMBER),
        (
            "{% set ns = namespace(x=9) %}{% for i in range(99) %}{% set ns.x = ns.x * ns.x %}{% endfor %}",
            "numbers",
        ),
        ("{% set n = messages|length %}{{ (9 + n) ** 99999999 }}", "numbers without end"),
        ("{{ lipsum(100000000) }}", "'lipsum' is undefined"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ bos_token }}" * 20_000, "it has 300,000 characters"),
    ],
)
def test_templates_without_end_are_refused_at_once(tokenizer: Tokenizer, source: str, words: str) -> None:
    with pytest.raises(BrokenTemplate, match=words) as caught:
        ChatTemplate(tokenizer, source)
    assert "tokenizer.chat_template" in str(caught.value)


def test_loops_keep_what_templates_ask_of_them(tokenizer: Tokenizer) -> None:
    source = (
        "{% for m in messages %}{{ loop.index }}/{{ loop.length }}{{ ' last' if loop.last }}"
        "{{ loop.previtem.role if loop.previtem }} {% else %}none{% endfor %}"
        "{% for m in messages if m.role == 'user' %}{{ loop.revindex }}{% endfor %}"
        "{% for a in [[1, [2]]] recursive %}{{ loop(a) if a is iterable else a }}{% endfor %}"
        "{{ 'a' ~ 1 ~ none }}{{ ['a', 2]|join('-') }}{{ '%03d|%s' % (7, 'x') }}"
    )
    talk = [{"role": role, "content": "x"} for role in ("user", "assistant", "user")]
    made = ChatTemplate(tokenizer, source).render(talk)
    assert made == "1/3 2/3user 3/3 lastassistant 2112a1Nonea-2007|x"


def test_a_long_conversation_stays_within_the_limits(tokenizer: Tokenizer) -> None:
    talk = [{"role": role, "content": "word " * 200} for role in ("user", "assistant") * 600]
    assert len(ChatTemplate(tokenizer).render(talk)) > 1_200_000
