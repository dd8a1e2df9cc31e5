"""Which JSON Schemas an answer may be held to: a subset that is safe to take from a stranger's file.

A configuration comes from anywhere. So no reference leaves the schema, no number in it makes a program build
a large value, and no regular expression of it is ever run. Within these bounds every schema can be checked,
compiled into a grammar (`wse_backend.engine.grammar`), and planned for.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from moa_core.config.shortest_answer import shortest_answer
from moa_core.errors import ConfigError

TYPES = ("object", "array", "string", "number", "integer", "boolean", "null")
MAX_NODES = 500  # schemas inside the schema
MAX_DEPTH = 16
MAX_COUNT = 64  # items that a list may be required to have
MAX_LENGTH = 100_000  # characters of a text
MAX_SHORTEST = 200_000  # characters of the shortest answer
MAX_TEXT_CHARS = 20_000  # of all names, choices and descriptions together

# What each keyword holds. Those that are not here are refused by name.
ONE_SCHEMA = ("items",)
LISTS_OF_SCHEMAS = ("anyOf", "oneOf", "allOf")
MAPS_OF_SCHEMAS = ("properties", "$defs", "definitions")
COUNTS = {"minItems": MAX_COUNT, "maxItems": MAX_LENGTH, "minLength": MAX_LENGTH, "maxLength": MAX_LENGTH}
NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
TEXTS = ("title", "description", "$schema", "$comment", "format")  # $id would move what "#" means
NOTES = (*TEXTS, "default", "examples")
OTHERS = ("type", "enum", "const", "required", "additionalProperties", "$ref")
KEYWORDS = (*ONE_SCHEMA, *LISTS_OF_SCHEMAS, *MAPS_OF_SCHEMAS, *COUNTS, *NUMBERS, *NOTES, *OTHERS)


def check_response_schema(schema: Any, where: str) -> None:
    """Raise ConfigError, with the place, for whatever this program would not hold an answer to."""
    seen, references = _Seen(), []
    for node, path in _walk(schema, where, 0, seen):
        for keyword, value in node.items():
            _check_keyword(keyword, value, path)
        if "$ref" in node:
            references.append((node["$ref"], path))
    schemas = {id(node) for node in seen.nodes}
    for reference, path in references:
        _check_reference(reference, schema, schemas, path)
    n_chars = shortest_answer(schema).n_chars
    if n_chars > MAX_SHORTEST and n_chars != math.inf:
        raise ConfigError(f"every answer that fits has more than {MAX_SHORTEST:,} characters", where)
    if n_chars == math.inf:
        raise ConfigError(
            "no answer fits: it requires what it forbids, or every value of it needs another one inside",
            where,
        )


class _Seen:
    """How much of a schema was read so far."""

    def __init__(self) -> None:
        self.nodes: list[Mapping[str, Any]] = []
        self.n_chars = 0


def _walk(node: Any, path: str, depth: int, seen: _Seen) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Every schema inside of `node`, itself first, with its place; true and false are schemas too."""
    if isinstance(node, bool) and depth:
        return
    if not isinstance(node, Mapping):
        raise ConfigError(f"is {_shown(node)}; a schema is a JSON object", path)
    seen.nodes.append(node)
    seen.n_chars += sum(len(str(key)) for key in node) + sum(
        len(str(value)) for key, value in node.items() if key in ("enum", "const", "required", *NOTES)
    )
    if len(seen.nodes) > MAX_NODES or depth > MAX_DEPTH or seen.n_chars > MAX_TEXT_CHARS:
        raise ConfigError(
            f"is too large; allowed: {MAX_NODES} schemas in it, {MAX_DEPTH} levels, {MAX_TEXT_CHARS:,} "
            "characters of names, choices and descriptions",
            path,
        )
    yield node, path
    for name, inner in _inner(node, path):
        yield from _walk(inner, f"{path}.{name}", depth + 1, seen)


def _inner(node: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    for keyword in ONE_SCHEMA:
        if keyword in node:
            yield keyword, node[keyword]
    if "additionalProperties" in node:
        yield "additionalProperties", node["additionalProperties"]
    for keyword in LISTS_OF_SCHEMAS:
        if keyword in node:
            _require(
                isinstance(node[keyword], list) and node[keyword], node, keyword, "a list of schemas", path
            )
            yield from ((f"{keyword}[{n}]", inner) for n, inner in enumerate(node[keyword]))
    for keyword in MAPS_OF_SCHEMAS:
        if keyword in node:
            _require(isinstance(node[keyword], Mapping), node, keyword, "an object of schemas", path)
            yield from ((f"{keyword}.{name}", inner) for name, inner in node[keyword].items())


def _check_keyword(keyword: str, value: Any, path: str) -> None:
    node = {keyword: value}
    if keyword not in KEYWORDS:
        raise ConfigError(f"{keyword!r} is not supported; supported: {', '.join(KEYWORDS)}", path)
    if keyword == "type":
        kinds = value if isinstance(value, list) and value else [value]
        _require(all(kind in TYPES for kind in kinds), node, keyword, ", ".join(TYPES), path)
    elif keyword in COUNTS:
        is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= COUNTS[keyword]
        _require(is_count, node, keyword, f"whole numbers from 0 to {COUNTS[keyword]:,}", path)
    elif keyword in NUMBERS:
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= 1e15
        is_number = is_number and (keyword != "multipleOf" or value > 0)
        _require(is_number, node, keyword, "numbers up to 1e15, above 0 for multipleOf", path)
    elif keyword in TEXTS:
        _require(isinstance(value, str), node, keyword, "a text", path)
    elif keyword == "enum":
        _require(isinstance(value, list) and value, node, keyword, "a list with at least one choice", path)
    elif keyword == "required":
        is_names = isinstance(value, list) and all(isinstance(name, str) for name in value)
        _require(is_names, node, keyword, "a list of property names", path)


def _check_reference(reference: Any, schema: Mapping[str, Any], schemas: set[int], path: str) -> None:
    """Only references to a schema inside the schema that was checked too, and not in a circle of their own.

    schemas: the ids of those that were checked. What stands in a default or a choice is data: as a schema it
    could hold what is refused elsewhere. %xx would be read as another character by whoever follows it.
    """
    for _ in range(MAX_DEPTH):
        if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
            raise ConfigError(
                f"$ref is {_shown(reference)}; only references inside the schema (#/...) are followed", path
            )
        target: Any = schema
        for part in reference.split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            target = target.get(name) if isinstance(target, Mapping) else None
        if "%" in reference or not (isinstance(target, bool) or id(target) in schemas):
            raise ConfigError(f"$ref is {_shown(reference)}, which is not there, or is no schema", path)
        if isinstance(target, bool) or "$ref" not in target:
            return
        reference = target["$ref"]
    raise ConfigError("$ref leads in a circle", path)


def _require(is_met: object, node: Mapping[str, Any], keyword: str, allowed: str, path: str) -> None:
    if not is_met:
        raise ConfigError(f"{keyword} is {_shown(node[keyword])}; allowed: {allowed}", path)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
