"""How a model is asked to choose its tokens: each such setting stands here once, with what is allowed.

A setting of `Sampling` is at once a field of an agent, of its JSON, and of every request made of it: servers
get it under `wire`, the engine of this process where its parameters have the same name. Adding one is a line
here, its line in the JSON Schema (a test compares them), and its row in docs/moa_core.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from moa_core.errors import ConfigError

DEFAULT_TOP_P = 0.95
EFFORTS = ("none", "low", "medium", "high")
MAX_SEED = 2**63 - 1
MAX_STOPS, MAX_STOP_CHARS = 16, 256  # as the engine's own limits; clouds take fewer and say so


def _setting(wire: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"wire": wire, "schema": schema}


TOP_P = _setting("top_p", {"type": "number", "minimum": 0, "maximum": 1})
SEED = _setting("seed", {"type": ["integer", "null"], "minimum": -MAX_SEED, "maximum": MAX_SEED})
STOP_TEXT = {"type": "string", "minLength": 1, "maxLength": MAX_STOP_CHARS}
STOP = _setting("stop", {"type": "array", "maxItems": MAX_STOPS, "items": STOP_TEXT})
PENALTY = _setting("repetition_penalty", {"type": ["number", "null"], "minimum": 1, "maximum": 2})
EFFORT = _setting("reasoning_effort", {"enum": [*EFFORTS, None]})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """What an agent and the request made of it have in common, beside temperature and token limit.

    None and empty mean: as the model's server does it by itself.
    """

    top_p: float = field(default=DEFAULT_TOP_P, metadata=TOP_P)
    seed: int | None = field(default=None, metadata=SEED)
    stop: tuple[str, ...] = field(default=(), metadata=STOP)
    repetition_penalty: float | None = field(default=None, metadata=PENALTY)
    reasoning_effort: str | None = field(default=None, metadata=EFFORT)

    def settings(self) -> dict[str, Any]:
        """The settings that are not left to the server, by name."""
        values = {name: getattr(self, name) for name in NAMES}
        return {name: value for name, value in values.items() if value is not None and value != ()}

    def check_sampling(self, where: str) -> None:
        """Raise ConfigError for a setting that is not allowed; `where` names the agent."""
        object.__setattr__(self, "stop", tuple(self.stop))
        for item in fields(Sampling):
            check_value(where, item.name, getattr(self, item.name), item.metadata["schema"])
        object.__setattr__(self, "top_p", float(self.top_p))


NAMES = tuple(item.name for item in fields(Sampling))
WIRE_NAMES: dict[str, str] = {item.name: item.metadata["wire"] for item in fields(Sampling)}


def check_value(where: str, name: str, value: Any, schema: Mapping[str, Any]) -> None:
    """Raise ConfigError unless `value` fits one of the small schemas of this file."""
    if "enum" in schema:
        if value not in schema["enum"]:
            allowed = ", ".join(str(choice) for choice in schema["enum"] if choice is not None)
            raise ConfigError(f"{name} is {value!r}; allowed: {allowed}", where)
        return
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if value is None and "null" in kinds:
        return
    if "array" in kinds:
        _check_texts(where, name, value, schema)
        return
    check_number(where, name, value, schema["minimum"], schema["maximum"], is_whole="integer" in kinds)


def check_number(
    where: str, name: str, value: Any, low: float, high: float, *, is_whole: bool = False
) -> None:
    """Raise ConfigError unless `value` is a number (a whole one, if asked for) from `low` to `high`."""
    kinds: Any = int if is_whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
        span = f"whole numbers from {low:,} to {high:,}" if is_whole else f"{low:g} to {high:g}"
        raise ConfigError(f"{name} is {value!r}; allowed: {span}", where)


def _check_texts(where: str, name: str, value: tuple[Any, ...], schema: Mapping[str, Any]) -> None:
    longest = schema["items"]["maxLength"]
    if len(value) > schema["maxItems"] or not all(
        isinstance(text, str) and 0 < len(text) <= longest for text in value
    ):
        allowed = f"at most {schema['maxItems']} texts of 1 to {longest} characters"
        raise ConfigError(f"{name} is {str(value)[:80]}; allowed: {allowed}", where)
