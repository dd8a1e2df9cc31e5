"""Stand-ins for what the standard library does with names and texts of a submission's own choosing."""

from __future__ import annotations

import builtins
import contextlib
import copy
import dataclasses
import functools
import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NoReturn

from grader.sandbox.child.guarded_attributes import (
    SUBMISSION,
    exact_text,
    guarded_attrgetter,
    guarded_format,
    guarded_methodcaller,
    guarded_setattr,
    is_own,
)


def guarded_update_wrapper(wrapper: Any, wrapped: Any) -> Any:
    """`functools.update_wrapper` with the usual attributes only: others could copy what must not be read."""
    return functools.update_wrapper(wrapper, wrapped, ("__name__", "__qualname__", "__doc__"), ())


def guarded_wraps(wrapped: Any) -> Callable[[Any], Any]:
    """`functools.wraps` with the usual attributes only."""
    return lambda wrapper: guarded_update_wrapper(wrapper, wrapped)


def guarded_singledispatch(function: Any) -> Any:
    """`functools.singledispatch`; the real one evaluates annotations that are text."""
    generic = functools.singledispatch(function)

    def register(kind: Any, implementation: Any = None) -> Any:
        if isinstance(kind, type):
            return generic.register(kind, implementation) if implementation else partial(register, kind)
        named = next(iter(getattr(kind, "__annotations__", {}).values()), None)
        found = getattr(builtins, named, None) if type(named) is str else named
        if not isinstance(found, type):
            raise TypeError(
                "register() takes a class, or a function whose first parameter is annotated with one"
            )
        return generic.register(found, kind)

    def call(*args: Any, **kwargs: Any) -> Any:
        return generic(*args, **kwargs)

    vars(call).update(register=register, dispatch=generic.dispatch)
    return guarded_update_wrapper(call, function)


def guarded_dataclass(cls: Any = None, /, **options: Any) -> Any:
    """`dataclasses.dataclass` that refuses field names which are no identifiers: it writes them into
    source text."""

    def make(cls: Any) -> Any:
        if not isinstance(cls, type) or not is_own(cls):
            raise TypeError("only your own classes can become dataclasses")
        _check_field_names(cls)
        return dataclasses.dataclass(**options)(cls)

    return make if cls is None else make(cls)


def _check_field_names(cls: type) -> None:
    """Only exact dicts of plain identifiers: whatever could answer differently the next time is refused."""
    annotations = vars(cls).get("__annotations__", {})
    inherited = [vars(base).get("__dataclass_fields__", {}) for base in type.__dict__["__mro__"].__get__(cls)]
    if not all(type(each) is dict for each in (annotations, *inherited)):
        raise TypeError("dataclass fields must stand in a plain dict")
    fields = [field for each in inherited for field in each.values()]
    if not all(type(field) is dataclasses.Field for field in fields):
        raise TypeError("dataclass fields must be made by field()")
    names = [*annotations, *(field.name for field in fields)]
    if not all(type(name) is str and name.isidentifier() for name in names):
        raise TypeError("dataclass fields must be plain identifiers")


def guarded_make_dataclass(
    name: str, fields: Any, *, bases: Any = (), namespace: Any = None, module: Any = None, **options: Any
) -> Any:
    """`dataclasses.make_dataclass` by way of `guarded_dataclass`."""
    space = dict(namespace or {})
    annotations: dict[str, Any] = {}
    for each in fields:
        field, *rest = (each,) if isinstance(each, str) else each
        annotations[exact_text(field)] = rest[0] if rest else Any
        if rest[1:]:
            space[exact_text(field)] = rest[1]
    space.update(__annotations__=annotations, __module__=SUBMISSION)
    return guarded_dataclass(type(name, tuple(bases), space), **options)


def _no_subclass(cls: type, **options: Any) -> NoReturn:
    raise TypeError("this class cannot be extended in a submission")


def _format_record(style: Any, record: logging.LogRecord) -> Any:
    """How `logging` fills a text of its `{` style, with the same bounds as `str.format`."""
    return guarded_format(style._fmt.format)(**{**(style._defaults or {}), **vars(record)})


def settle_library() -> None:
    """Where the library itself sets attributes and fills texts, it does so as the submission could."""
    vars(copy)["setattr"] = guarded_setattr
    logging.StrFormatStyle._format = _format_record  # type: ignore[attr-defined]
    dataclasses.Field.__init_subclass__ = classmethod(_no_subclass)  # type: ignore[assignment, arg-type]


def _no_redirect(target: Any) -> Any:
    """Stands in for `redirect_stdout`, whose subclasses could name any attribute of `sys`."""
    return contextlib.nullcontext(target)


def _no_warnings(*, record: bool = False, **options: Any) -> Any:
    """Stands in for `catch_warnings`, which holds a real module: nothing warns here."""
    return contextlib.nullcontext([] if record else None)


STAND_INS: Mapping[str, Mapping[str, Any]] = {
    "operator": {"attrgetter": guarded_attrgetter, "methodcaller": guarded_methodcaller},
    "functools": {
        "update_wrapper": guarded_update_wrapper,
        "wraps": guarded_wraps,
        "singledispatch": guarded_singledispatch,
    },
    "dataclasses": {"dataclass": guarded_dataclass, "make_dataclass": guarded_make_dataclass},
    "contextlib": {"redirect_stdout": _no_redirect, "redirect_stderr": _no_redirect},
    "warnings": {"catch_warnings": _no_warnings},
}
"""By module and name, what a submission finds in place of the library's own."""
