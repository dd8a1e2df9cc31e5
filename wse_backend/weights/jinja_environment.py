"""Where chat templates run: Jinja2's immutable sandbox, with what `transformers` gives its templates.

Source: utils/chat_template_utils.py of Hugging Face's transformers 4.57: trimmed blocks, loop controls,
`{% generation %}` around what the model writes itself, `raise_exception`, `strftime_now`, `tojson`.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, NoReturn

from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser

from wse_backend.weights.template_limits import LimitedEnvironment


class RefusedByTemplate(Exception):
    """What a template says through `raise_exception`; Jinja2 lets it through unchanged."""


class GenerationBlock(Extension):
    """`{% generation %}` marks what is trained on. Rendering a prompt, its content is all that counts."""

    tags = {"generation"}  # noqa: RUF012 - as Jinja2 declares it

    def parse(self, parser: Parser) -> nodes.Node | list[nodes.Node]:
        """Return the nodes between the tags."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)


def chat_environment() -> LimitedEnvironment:
    """A fresh environment for one template."""
    environment = LimitedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, GenerationBlock]
    )
    environment.filters["tojson"] = _tojson
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = _strftime_now
    return environment


def _tojson(value: Any, ensure_ascii: bool = False, indent: int | None = None, **options: Any) -> str:
    """Jinja2's own filter escapes HTML; templates expect plain JSON."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **options)


def _raise_exception(message: object) -> NoReturn:
    raise RefusedByTemplate(str(message)[:300])


def _strftime_now(layout: str) -> str:
    return datetime.now().strftime(layout)
