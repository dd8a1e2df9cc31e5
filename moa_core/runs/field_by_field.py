"""A structured answer asked for field by field: for models that cannot write JSON but can answer a short
question.

Every value comes from the model; what it says is read generously (the first number in range, yes or no, one
of the choices) and then put into the JSON by this program.
"""

import json
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from moa_core.errors import InvalidStructure
from moa_core.runs.prompts import Message
from moa_core.runs.structured import parse_structured

ATTEMPTS = 2  # per field
MAX_QUESTIONS = 100  # of a form: each is a call of the model
SHOWN_CHARS = 80
NUMBER_TOKENS = 24  # enough for a number with a few words around it
CHOICE_TOKENS = 48

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_YES_NO = re.compile(r"\b(yes|true|no|false)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """One question of the form: where its value belongs, what to ask, and how much the answer may take.

    max_tokens None: as much as the agent may write.
    """

    name: str
    position: int | None
    schema: Mapping[str, Any]
    question: str
    max_tokens: int | None


AskShortly = Callable[[tuple[Message, ...], int | None, str], Awaitable[str]]
"""Asks one question: messages, the most tokens of the answer (None: as usual), and what to say meanwhile."""


async def ask_field_by_field(
    ask: AskShortly, messages: tuple[Message, ...], schema: Mapping[str, Any], failed: str, fault: str
) -> tuple[Any, str]:
    """The structured answer and its JSON text, one value at a time.

    failed, fault: what was tried before, for the error. Raises InvalidStructure, and what `ask` raises.
    """
    fields = questions_for(schema)
    if fields is None:
        raise InvalidStructure(f"{failed}: {fault}")
    failed += ", nor field by field"
    answers: dict[Field, Any] = {}
    for entry in fields:
        question = {"role": "user", "content": f"{messages[-1]['content']}\n\n{entry.question}"}
        asked = (*messages[:-1], question)
        for _ in range(ATTEMPTS):
            said = await ask(asked, entry.max_tokens, f"asked field by field: {entry.name}")
            answers[entry] = read_answer(entry, said)
            if answers[entry] is not None:
                break
            again = {"role": "user", "content": entry.question}
            asked = (*asked, {"role": "assistant", "content": said}, again)
        else:
            raise InvalidStructure(f"{failed}: {entry.name}: found no value in {_shortened(said)!r}")
    value = assemble(answers)
    text = json.dumps(value, ensure_ascii=False)
    if (mismatch := parse_structured(text, schema)[1]) is not None:
        raise InvalidStructure(f"{failed}: {mismatch}")
    return value, text


def _shortened(text: str) -> str:
    """The beginning of `text`, on one line."""
    text = " ".join(text.split())
    return text if len(text) <= SHOWN_CHARS else text[:SHOWN_CHARS] + "…"


def questions_for(schema: Mapping[str, Any]) -> tuple[Field, ...] | None:
    """The questions whose answers make a value of `schema`; None when it is too deep or long for a form.

    A form is an object whose required properties are numbers, texts, truths, choices, or lists of a fixed
    length of these.
    """
    properties = schema.get("properties")
    if schema.get("type") != "object" or not isinstance(properties, Mapping):
        return None
    fields = [
        field for name in schema.get("required", properties) for field in _fields(name, properties.get(name))
    ]
    if None in fields or not 0 < len(fields) <= MAX_QUESTIONS:
        return None
    return tuple(field for field in fields if field is not None)


def read_answer(field: Field, text: str) -> Any:
    """The value that `text` gives for the field, or None when there is none in it."""
    schema, kind = field.schema, field.schema.get("type")
    if "enum" in schema:
        found = [(text.lower().find(str(choice).lower()), choice) for choice in schema["enum"]]
        return min(
            ((at, choice) for at, choice in found if at >= 0), key=lambda pair: pair[0], default=(0, None)
        )[1]
    if kind == "boolean":
        said = _YES_NO.search(text)
        return None if said is None else said.group().lower() in ("yes", "true")
    if kind == "string":
        return text.strip() or None
    for number in map(float, _NUMBER.findall(text)):
        if not _in_range(number, schema) or (kind == "integer" and not number.is_integer()):
            continue
        return int(number) if number.is_integer() else number
    return None


def assemble(answers: Mapping[Field, Any]) -> dict[str, Any]:
    """The JSON object that the answers make."""
    value: dict[str, Any] = {}
    for field, answer in answers.items():
        if field.position is None:
            value[field.name] = answer
        else:
            value.setdefault(field.name, []).append(answer)
    return value


def _fields(name: str, schema: Any) -> Iterator[Field | None]:
    """The questions for one property; None for one that cannot be asked for."""
    if not isinstance(schema, Mapping):
        yield None
        return
    what = str(schema.get("description", name))
    if schema.get("type") != "array":
        yield _field(name, None, schema, what)
        return
    count, items = schema.get("minItems"), schema.get("items")
    if not count or not isinstance(items, Mapping):
        yield None
        return
    for position in range(1, count + 1):
        yield _field(name, position, items, f"{what}, number {position} of {count}")


def _field(name: str, position: int | None, schema: Mapping[str, Any], what: str) -> Field | None:
    kind = schema.get("type")
    if "enum" in schema:
        choices = ", ".join(map(str, schema["enum"]))
        return Field(
            name, position, schema, f"Now only this: {what}. Answer with one of: {choices}.", CHOICE_TOKENS
        )
    if kind == "boolean":
        return Field(name, position, schema, f"Now only this: {what}. Answer yes or no.", CHOICE_TOKENS)
    if kind == "string":
        return Field(name, position, schema, f"Now only this: {what}.", None)
    if kind in ("integer", "number"):
        low, high = schema.get("minimum"), schema.get("maximum")
        span = f" from {low} to {high}" if low is not None and high is not None else ""
        question = f"Now only this: {what}. Answer with one number{span} and nothing else."
        return Field(name, position, schema, question, NUMBER_TOKENS)
    return None


def _in_range(number: float, schema: Mapping[str, Any]) -> bool:
    low, high = schema.get("minimum", float("-inf")), schema.get("maximum", float("inf"))
    return bool(low <= number <= high)
