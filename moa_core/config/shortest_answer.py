"""The shortest JSON text that may fit a schema: whether an answer can end at all, and in how many tokens.

It bounds from below: keywords that only exclude values (bounds of numbers, formats) are not looked at, so a
schema that is refused for its length could never have been answered. Layout as json.dumps writes it.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MAX_TEXT_CHARS = 200_000  # a longer text is only counted
LITERALS = {"boolean": "true", "null": "null"}
NUMBER = "0"
FILLING = " "  # of texts with a least length: many of them are one token


@dataclass(frozen=True, slots=True)
class Shortest:
    """The shortest text: its length (infinite when there is none), and what it is put together of."""

    n_chars: float
    pieces: tuple["str | Shortest", ...] = field(default=(), compare=False)

    def text(self) -> str:
        """The text; "" when it is longer than MAX_TEXT_CHARS."""
        if self.n_chars > MAX_TEXT_CHARS:
            return ""
        waiting: list[str | Shortest] = [self]
        done = []
        while waiting:  # no recursion: references may lead far down
            piece = waiting.pop()
            if isinstance(piece, str):
                done.append(piece)
            else:
                waiting += reversed(piece.pieces)
        return "".join(done)


ENDLESS = Shortest(math.inf)


def shortest_answer(schema: Mapping[str, Any]) -> Shortest:
    """The shortest text for `schema`, which check_response_schema must have walked.

    The references' texts are found together: all begin endless, each round shortens some, until none
    changes. A shortest text never contains another one of its own kind, so that is at most as many rounds as
    there are references; every second one goes backwards, as chains of them mostly run one way.
    """
    targets = {reference: _target(schema, reference) for reference in _references(schema)}
    known, order = dict.fromkeys(targets, ENDLESS), list(targets)
    is_changed = True
    while is_changed:
        is_changed = False
        for reference in order:
            found = _shortest(targets[reference], known)
            is_changed = is_changed or found != known[reference]
            known[reference] = found
        order.reverse()
    return _shortest(schema, known)


def _shortest(node: Any, known: Mapping[str, Shortest]) -> Shortest:
    """The shortest text for `node`: what demands most decides, as all keywords must be met."""
    if not isinstance(node, Mapping):
        return ENDLESS if node is False else _of(NUMBER)
    demands: list[Shortest] = []
    choices = [node["const"]] if "const" in node else node.get("enum", ())
    if "const" in node or "enum" in node:
        demands.append(_least([_of(json.dumps(choice)) for choice in choices]))
    if "$ref" in node:
        demands.append(known[node["$ref"]])
    alternatives = [node[keyword] for keyword in ("anyOf", "oneOf") if keyword in node]
    demands += [_least([_shortest(inner, known) for inner in inners]) for inners in alternatives]
    demands += [_shortest(inner, known) for inner in node.get("allOf", ())]
    kinds = node.get("type")
    if kinds is not None:
        kinds = kinds if isinstance(kinds, list) else [kinds]
        demands.append(_least([_of_type(kind, node, known) for kind in kinds]))
    return max(demands, key=lambda demand: demand.n_chars, default=_of(NUMBER))


def _of_type(kind: str, node: Mapping[str, Any], known: Mapping[str, Shortest]) -> Shortest:
    if kind == "string":
        n_chars = node.get("minLength", 0)
        return _of(f'"{FILLING * n_chars}"')
    if kind == "array":
        n_items = node.get("minItems", 0)
        return _joined("[", [_shortest(node.get("items"), known)] * n_items, "]")
    if kind == "object":
        properties, others = node.get("properties", {}), node.get("additionalProperties")
        entries = []
        for name in dict.fromkeys(node.get("required", ())):
            value = _shortest(properties.get(name, others), known)
            entries.append(_joined(f"{json.dumps(name)}: ", [value], ""))
        return _joined("{", entries, "}")
    return _of(LITERALS.get(kind, NUMBER))


def _of(text: str) -> Shortest:
    return Shortest(len(text), (text,))


def _joined(before: str, parts: list[Shortest], after: str) -> Shortest:
    """The parts with commas between, something before and after them."""
    between = [piece for part in parts for piece in (", ", part)][1:]
    n_chars = sum(part.n_chars for part in parts) + 2 * max(0, len(parts) - 1) + len(before) + len(after)
    return Shortest(n_chars, (before, *between, after))


def _least(candidates: list[Shortest]) -> Shortest:
    return min(candidates, key=lambda candidate: candidate.n_chars, default=ENDLESS)


def _references(node: Any) -> dict[str, None]:
    """Every $ref in a schema, in order."""
    if not isinstance(node, Mapping):
        return {}
    inside = [node.get("items"), node.get("additionalProperties")]
    for keyword in ("anyOf", "oneOf", "allOf"):
        inside += node.get(keyword, ())
    for keyword in ("properties", "$defs", "definitions"):
        inside += node.get(keyword, {}).values()
    found: dict[str, None] = {node["$ref"]: None} if "$ref" in node else {}
    for inner in inside:
        found |= _references(inner)
    return found


def _target(schema: Mapping[str, Any], reference: str) -> Any:
    """What a reference inside of the schema leads to; None for one that leads nowhere."""
    target: Any = schema
    for part in reference.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        target = target.get(name) if isinstance(target, Mapping) else None
    return target
