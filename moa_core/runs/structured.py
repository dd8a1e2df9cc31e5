"""Answers that must be JSON of a given JSON Schema: what the model is told, and whether its answer fits."""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from moa_core.runs.prompts import Message, with_system

MAX_STARTS = 100  # brackets that may begin the JSON: each is read to its end
MAX_FENCES = 100  # blocks that may be the JSON
MAX_ERRORS = 100  # of one value, of which the best is said
MAX_FAULT_CHARS = 500  # of what is said about an answer, which may be quoted whole in it
MAX_REFERENCES = 10_000  # followed while one answer is checked: a few of them can ask for 2**100


def explain_schema(messages: Sequence[Message], schema: Mapping[str, Any]) -> tuple[Message, ...]:
    """The messages with the schema in the system prompt."""
    text = json.dumps(schema, ensure_ascii=False)
    return with_system("", (*messages, {"role": "system", "content": _EXPLANATION + text}))


def parse_structured(text: str, schema: Mapping[str, Any]) -> tuple[Any, str | None]:
    """The JSON value in `text` and None, or None and what is wrong with it, in words the model can act on.

    The whole text counts first, then fenced blocks, then the first JSON object or array inside prose.
    """
    from jsonschema.exceptions import best_match
    from referencing.exceptions import Unresolvable

    validator = _validator(schema)
    fault = "there is no JSON in the answer"
    for candidate in _candidates(text):
        try:
            value = json.loads(candidate, parse_constant=_refuse_constant, parse_float=_finite)
            json.dumps(value, ensure_ascii=False).encode()
            error = best_match(islice(validator.iter_errors(value), MAX_ERRORS))
        except UnicodeEncodeError:
            fault = "a text in it holds half a character (one of \\ud800 to \\udfff alone)"
            continue
        except OverflowError:  # of a whole number that no float can be compared with
            fault = "a number in it is too large"
            continue
        except ValueError as exc:
            fault = f"not valid JSON: {exc}" if fault.startswith("there is no") else fault
            continue
        except RecursionError:
            fault = "the JSON is nested too deeply"
            continue
        except _TooManyReferences:
            return None, "checking it follows more references of the schema than are allowed"
        except Unresolvable as exc:
            return None, f"the schema refers to {exc.ref!r}, which is not in it"
        if error is None:
            return value, None
        fault = _shortened(f"{error.json_path}: {error.message}")
    return None, fault


class _TooManyReferences(Exception):
    """A schema whose references branch: checking an answer would take for ever."""


def _validator(schema: Mapping[str, Any]) -> Any:
    """A validator that follows references inside the schema only, and not too many of them."""
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend
    from referencing import Registry

    n_followed = 0
    follow = Draft202012Validator.VALIDATORS["$ref"]

    def counted(*given: Any) -> Any:
        nonlocal n_followed
        if (n_followed := n_followed + 1) > MAX_REFERENCES:
            raise _TooManyReferences
        return follow(*given)

    kind = extend(Draft202012Validator, {"$ref": counted})
    # An empty registry: a reference out of the schema is an error, never a request to somebody's server.
    return kind(dict(schema), registry=Registry())


def _candidates(text: str) -> Iterator[str]:
    yield text.strip()
    yield from islice(_fenced(text), MAX_FENCES)
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


def _shortened(fault: str) -> str:
    half = MAX_FAULT_CHARS // 2
    return fault if len(fault) <= MAX_FAULT_CHARS else f"{fault[:half]} ... {fault[-half:]}"


def _fenced(text: str) -> Iterator[str]:
    """What stands between ``` (or ```json) at the end of a line and the next ```; in linear time."""
    parts = text.split("```")
    position = 1
    while position + 1 < len(parts):  # the last part has no mark after it
        language, line_end, inside = parts[position].partition("\n")
        if line_end and language.strip().lower() in ("", "json"):
            yield inside.strip()
            position += 2
        else:
            position += 1


def _finite(text: str) -> float:
    if math.isinf(number := float(text)):
        raise ValueError(f"{text[:20]} is too large a number")
    return number


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


_EXPLANATION = "Answer with one JSON value and nothing else. It must fit this JSON Schema:\n"
