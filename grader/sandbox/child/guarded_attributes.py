"""Attributes as a submission may reach them: not into the interpreter, not into what belongs to others."""

from __future__ import annotations

import _string  # type: ignore[import-not-found]
import dataclasses
from collections.abc import Callable
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

from grader.sandbox.policy.names import FORBIDDEN_ATTRIBUTES, HARMLESS_DUNDERS, PUBLIC_UNDERSCORE

SUBMISSION = "submission"
"""Module name and file name of the submission inside its process."""


def exact_text(name: object) -> str:
    """The name as an exact str: a subclass could compare as it likes."""
    if not isinstance(name, str):
        raise TypeError("attribute name must be string")
    return str.__str__(name)


def is_hidden(name: str, target: object) -> bool:
    """Whether an attribute leads into the interpreter, or is private to an object that is not the
    submission's own."""
    if name in FORBIDDEN_ATTRIBUTES:
        return True
    if name.startswith("__") and name.endswith("__"):
        return name not in HARMLESS_DUNDERS
    return name.startswith("_") and name not in PUBLIC_UNDERSCORE and not is_own(target)


def is_own(target: object) -> bool:
    """Whether the object is a class or function of the submission, or an instance of such a class."""
    if type(target) is FunctionType:
        return bool(target.__globals__.get("__name__") == SUBMISSION)
    kind = target if isinstance(target, type) else type(target)
    return bool(type.__dict__["__module__"].__get__(kind) == SUBMISSION)


def own_target(target: Any) -> Any:
    """The target, if its attributes may be set: no module, no field, no class or function of somebody else.

    Otherwise a submission could put its own code where the standard library, and so the runner, will call it,
    or let `dataclasses.asdict` read an attribute under another field's name.
    """
    if isinstance(target, ModuleType | BuiltinFunctionType | dataclasses.Field) or (
        isinstance(target, type | FunctionType) and not is_own(target)
    ):
        raise TypeError("attributes can only be set on objects of your own")
    return target


def _checked(target: object, name: object) -> str:
    text = exact_text(name)
    if is_hidden(text, target):
        raise AttributeError("this attribute is not available in a submission")
    return text


_MISSING = object()


def guarded_getattr(target: Any, name: str, default: Any = _MISSING, /) -> Any:
    """`getattr` without the interpreter's insides."""
    text = _checked(target, name)
    return guarded_format(getattr(target, text) if default is _MISSING else getattr(target, text, default))


def guarded_format(found: Any) -> Any:
    """`str.format` and `str.format_map` with fields that do not walk into the interpreter; else what was
    found."""
    if found is str.format or found is str.format_map:
        return lambda text, *args, **kwargs: guarded_format(found.__get__(text))(*args, **kwargs)
    if type(found) is not BuiltinFunctionType or not isinstance(found.__self__, str):
        return found
    if found.__name__ not in ("format", "format_map"):
        return found

    def checked(*args: Any, **kwargs: Any) -> Any:
        _check_format(str.__str__(found.__self__))
        return found(*args, **kwargs)

    return checked


def _check_format(text: str) -> None:
    """Refuse a format text with a field such as `{0.__class__}`, also inside another field's format."""
    for _, field, spec, _ in _string.formatter_parser(text):
        for is_attribute, name in _string.formatter_field_name_split(field)[1] if field else ():
            if is_attribute and is_hidden(name, None):
                raise AttributeError("this attribute is not available in a submission")
        if spec:
            _check_format(spec)


def guarded_hasattr(target: Any, name: str, /) -> bool:
    """`hasattr` that never finds the interpreter's insides."""
    text = exact_text(name)
    return not is_hidden(text, target) and hasattr(target, text)


def guarded_setattr(target: Any, name: str, value: Any, /) -> None:
    """`setattr` on the submission's own objects."""
    setattr(own_target(target), _checked(target, name), value)


def guarded_delattr(target: Any, name: str, /) -> None:
    """`delattr` on the submission's own objects."""
    delattr(own_target(target), _checked(target, name))


def guarded_vars(target: Any) -> Any:
    """`vars(x)` and `x.__dict__` for instances of the submission's own classes."""
    if isinstance(target, type) or not is_own(target):
        raise TypeError("vars() is only available for objects of your own classes")
    return vars(target)


def guarded_attrgetter(*names: str) -> Callable[[Any], Any]:
    """`operator.attrgetter` that goes through `guarded_getattr`."""
    paths = [exact_text(name).split(".") for name in names]

    def walk(target: Any, path: list[str]) -> Any:
        for name in path:
            target = guarded_getattr(target, name)
        return target

    def get(target: Any) -> Any:
        found = tuple(walk(target, path) for path in paths)
        return found[0] if len(found) == 1 else found

    return get


def guarded_methodcaller(name: str, /, *args: Any, **kwargs: Any) -> Callable[[Any], Any]:
    """`operator.methodcaller` that goes through `guarded_getattr`."""
    text = exact_text(name)
    return lambda target: guarded_getattr(target, text)(*args, **kwargs)
