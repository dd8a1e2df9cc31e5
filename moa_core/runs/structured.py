"""Answers that must be JSON of a given JSON Schema: what the model is told, and whether its answer fits."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from moa_core.runs.prompts import Message, with_system

MAX_STARTS = 100  # brackets that may begin the JSON: each is read to its end
_FENCE = re.compile(r"```(?:json)?\s*\n(.*?)```", re.DOTALL | re.IGNORECASE)


def explain_schema(messages: Sequence[Message], schema: Mapping[str, Any]) -> tuple[Message, ...]:
    """The messages with the schema in the system prompt."""
    text = json.dumps(schema, ensure_ascii=False)
    return with_system("", (*messages, {"role": "system", "content": _EXPLANATION + text}))


def parse_structured(text: str, schema: Mapping[str, Any]) -> tuple[Any, str | None]:
    """The JSON value in `text` and None, or None and what is wrong with it, in words the model can act on.

    The whole text counts first, then fenced blocks, then the first JSON object or array inside prose.
    """
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    # An empty registry: a reference out of the schema is an error, never a request to somebody's server.
    validator = Draft202012Validator(dict(schema), registry=Registry())
    fault = "there is no JSON in the answer"
    for candidate in _candidates(text):
        try:
            value = json.loads(candidate, parse_constant=_refuse_constant)
            json.dumps(value, ensure_ascii=False).encode()
            error = best_match(validator.iter_errors(value))
        except UnicodeEncodeError:
            fault = "a text in it holds half a character (one of \\ud800 to \\udfff alone)"
            continue
        except ValueError as exc:
            fault = f"not valid JSON: {exc}" if fault.startswith("there is no") else fault
            continue
        except RecursionError:
            fault = "the JSON is nested too deeply"
            continue
        except Unresolvable as exc:
            return None, f"the schema refers to {exc.ref!r}, which is not in it"
        if error is None:
            return value, None
        fault = f"{error.json_path}: {error.message}"
    return None, fault


def _candidates(text: str) -> Iterator[str]:
    yield text.strip()
    for match in _FENCE.finditer(text):
        yield match.group(1).strip()
    decoder, after, tries = json.JSONDecoder(), 0, 0
    for match in re.finditer(r"[\[{]", text):
        if match.start() < after:
            continue  # inside of a value that was tried
        if (tries := tries + 1) > MAX_STARTS:
            return
        try:
            _, after = decoder.raw_decode(text, match.start())
        except (ValueError, RecursionError):
            continue
        yield text[match.start() : after]


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


_EXPLANATION = "Answer with one JSON value and nothing else. It must fit this JSON Schema:\n"
