"""How returned values travel: strict encoding in the child, decoding in the judge.

What `is_plain` goes as JSON as it is. The rest is encoded part by part: scalars that JSON has go as they
are; everything else is a list with a tag: ["l", ...items], ["d", [key, value], ...], ["f", "nan"], ["i",
"hex digits"], ["x", type name] for what is no plain value. The encoder reads containers through the
built-in types' own methods, so that an overridden `__iter__`, `__eq__`, `items` or `__float__` is never
asked.
"""

from __future__ import annotations

import datetime
import decimal
import fractions
import json
import json.encoder
import json.scanner
import marshal
from collections.abc import Iterable
from math import isfinite
from typing import Any


def _refuse(value: Any) -> Any:
    raise TypeError


# The C halves of `json`: a submission may import json, and so reach and change its Python classes.
_make_encoder: Any = json.encoder.c_make_encoder  # type: ignore[attr-defined]
_escape: Any = json.encoder.encode_basestring_ascii
_encode_json = _make_encoder(None, _refuse, _escape, None, ":", ",", False, False, True)
_scan_json: Any = json.scanner.c_make_scanner(json.JSONDecoder())  # type: ignore[attr-defined]


def to_json(value: Any) -> str:
    """Plain data as JSON text. Raises TypeError, ValueError or RecursionError for anything else."""
    return "".join(_encode_json(value, 0))


def from_json(text: bytes) -> Any:
    """The value of one JSON text written by the judge."""
    return _scan_json(text.decode(), 0)[0]


MAX_NODES = 60_000
MAX_DEPTH = 24
MAX_TEXT = 20_000
MAX_BITS = 1000
"""Larger integers are more than a float holds; judges compare numbers as floats."""


class ValueTooLarge(Exception):
    """The value has too many parts, is nested too deeply, or contains itself."""


_SCALARS = frozenset({str, int, float, bool, type(None)})


def is_plain(value: Any, depth: int = 0) -> bool:
    """Whether the value is made of exact dicts with text keys, lists, tuples and scalars, so that JSON can
    have it."""
    kind = type(value)
    if kind in _SCALARS:
        return True
    if depth > MAX_DEPTH:
        return False
    if kind is dict:
        return set(map(type, value)) <= {str} and _are_plain(value.values(), depth)
    return kind in (list, tuple) and _are_plain(value, depth)


def _are_plain(values: Iterable[Any], depth: int) -> bool:
    if set(map(type, values)) <= _SCALARS:
        return True
    return all(is_plain(item, depth + 1) for item in values)


def encode(value: Any) -> Any:
    """The value as JSON data. Raises ValueTooLarge."""
    return _Encoder().encode(value, 0)


class _Encoder:
    def __init__(self) -> None:
        self.nodes = 0

    def encode(self, value: Any, depth: int) -> Any:
        self.nodes += 1
        if self.nodes > MAX_NODES or depth > MAX_DEPTH:
            raise ValueTooLarge
        kind = type(value)
        if value is None or kind is bool:
            return value
        if kind is int:
            return value if -(2**63) < value < 2**63 else ["i", _hex(value)]
        if kind is float:
            return value if isfinite(value) else ["f", repr(value)]
        if kind is str:
            return _text(value)
        if kind is list or kind is tuple:
            return ["l", *[self.encode(item, depth + 1) for item in value]]
        if kind is dict:
            return ["d", *[[self.encode(k, depth + 1), self.encode(v, depth + 1)] for k, v in value.items()]]
        return self.encode_other(value, kind, depth)

    def encode_other(self, value: Any, kind: type, depth: int) -> Any:
        """Subclasses are read as the built-in type they extend; exact numbers and dates as the plain
        value."""
        mro = type.__dict__["__mro__"].__get__(kind)
        for base, plain in _BASES:
            if base in mro:
                return self.encode(plain(value), depth)
        if kind in (decimal.Decimal, fractions.Fraction):
            return self.encode(_to_float(value), depth)
        if kind is datetime.date:
            return value.isoformat()
        if kind is datetime.datetime:
            midnight = value.time() == datetime.time(0)
            return value.date().isoformat() if midnight else value.isoformat()
        return ["x", _type_name(kind)]


_BASES: tuple[tuple[type, Any], ...] = (
    (dict, lambda value: dict(dict.items(value))),
    (list, lambda value: list(list.__iter__(value))),
    (tuple, lambda value: list(tuple.__iter__(value))),
    (str, str.__str__),
    (int, int.__int__),
    (float, float.__float__),
)


def plain_copy(value: Any, depth: int = 0) -> Any:
    """The value rebuilt from exact built-in types; whatever is none becomes a new `object()`.

    For tests that compare inside the child: a copy has no `__eq__` of the submission's own.
    """
    if depth > MAX_DEPTH:
        raise ValueTooLarge
    mro = type.__dict__["__mro__"].__get__(type(value))
    if value is None or type(value) in (bool, complex, bytes, bytearray, range):
        return value
    for base, plain in _BASES:
        if base in mro:
            inner = plain(value)
            if base is dict:
                return {plain_copy(k, depth + 1): plain_copy(v, depth + 1) for k, v in inner.items()}
            if base in (list, tuple):
                return base(plain_copy(item, depth + 1) for item in inner)
            return inner
    for base in (set, frozenset):
        if base in mro:
            return base(plain_copy(item, depth + 1) for item in list(base.__iter__(value)))
    return object()


def _to_float(value: decimal.Decimal | fractions.Fraction) -> float:
    try:
        return float(value)
    except (OverflowError, ValueError):
        return float("inf")


def _type_name(kind: type) -> str:
    name = type.__dict__["__name__"].__get__(kind)
    return name[:60] if type(name) is str and name.isidentifier() else "object"


def _hex(value: int) -> str:
    if value.bit_length() > 4 * MAX_TEXT:
        raise ValueTooLarge
    return hex(value)


def _text(value: str) -> str:
    if len(value) > MAX_TEXT:
        raise ValueTooLarge
    return value


def decode(data: Any, opaque: Any) -> Any:
    """The plain value an encoder wrote; `opaque(type_name)` stands for what is none.

    Raises ValueError on anything an honest encoder does not write.
    """
    if not isinstance(data, list):
        if isinstance(data, dict):
            raise ValueError("unexpected object")
        return data
    tag, *rest = data
    if tag == "l":
        return [decode(item, opaque) for item in rest]
    if tag == "d":
        return {_key(decode(k, opaque)): decode(v, opaque) for k, v in rest}
    if tag == "f" and rest[0] in ("nan", "inf", "-inf"):
        return float(rest[0])
    if tag == "i":
        found = int(rest[0], 16)
        return found if found.bit_length() < MAX_BITS else opaque("too large an integer")
    if tag == "x":
        return opaque(str(rest[0])[:60])
    raise ValueError("unknown tag")


def _key(value: Any) -> Any:
    """A hashable stand-in; bounded, as each nesting of keys doubles the backslashes in their text."""
    if not isinstance(value, list | dict):
        return value
    text = repr(value)
    if len(text) > MAX_TEXT:
        raise ValueError("too long a key")
    return text


def fingerprint(value: Any) -> bytes | None:
    """Bytes that are equal exactly for equal plain values of the same types; None for anything that is not
    plain.

    `marshal` (format 0: no references, so only the value counts) takes exact built-in types and nothing
    else, and asks no object for its opinion. The bytes are only compared, never read back.
    """
    try:
        return marshal.dumps(value, 0)
    except (ValueError, RecursionError, MemoryError):
        return None
