"""What a submission finds inside its process: reduced built-ins, copied modules, and the audit hook."""

from __future__ import annotations

import _string  # type: ignore[import-not-found]
import builtins
import contextlib
import copy
import dataclasses
import functools
import importlib
import io
import logging
import random
import sys
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from types import BuiltinFunctionType, FunctionType, MappingProxyType, ModuleType, SimpleNamespace
from typing import Any, NoReturn

from grader.sandbox.policy.names import (
    ALLOWED_MODULES,
    FORBIDDEN_ATTRIBUTES,
    HARMLESS_DUNDERS,
    LOGGING_FORMATTER,
    MISSING_BUILTINS,
    NEWER_NAMES,
    PARTIAL_MODULES,
    PUBLIC_UNDERSCORE,
    SYS_NAMES,
)

SUBMISSION = "submission"
"""Module name and file name of the submission inside its process."""


class Sink:
    """Swallows what a submission prints."""

    encoding = "utf-8"
    errors = "strict"
    closed = False

    def write(self, text: str) -> int:
        """Pretend that the text was written."""
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Pretend that the lines were written."""

    def flush(self) -> None:
        """Nothing is buffered."""

    def isatty(self) -> bool:
        """No terminal."""
        return False


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


def _settle_library() -> None:
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


def _no_input(prompt: object = "", /) -> NoReturn:
    raise EOFError("nobody is there to answer")


def _stop(code: object = None, /) -> NoReturn:
    raise SystemExit(0)


def _no_limit_change(limit: int, /) -> None:
    """`sys.setrecursionlimit` is accepted and ignored; the limit is already set."""


_STRPTIME = "_strptime"
_LOADED_LATE = (_STRPTIME, "linecache", "traceback")
"""Modules that allowed ones import at their first use, when it is too late to read files."""


_PARTS: Mapping[str, Any] = {
    "StringIO": io.StringIO,
    "BytesIO": io.BytesIO,
    "SimpleNamespace": SimpleNamespace,
    "MappingProxyType": MappingProxyType,
    "TestCase": object,
}


def _do_nothing(*args: Any, **kwargs: Any) -> str:
    """Stands in for what would print, test or look at the stack."""
    return ""


_LEFT_OUT = frozenset({"singledispatchmethod", "global_enum"})
"""The first evaluates annotations that are text, the second writes into any module that a class names."""

_STAND_INS: Mapping[str, Mapping[str, Any]] = {
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


def load_modules() -> dict[str, ModuleType]:
    """Copies of the allowed modules with their public, non-module names only.

    Done once in the warm parent: after the fork nothing is read from disk any more.
    """
    for name in _LOADED_LATE:
        importlib.import_module(name)
    copies: dict[str, ModuleType] = {}
    for name in sorted(ALLOWED_MODULES):
        if name != "sys":
            copies[name] = _copy_module(importlib.import_module(name))
    copies["sys"] = _copy_sys()
    for name, public in PARTIAL_MODULES.items():
        copies[name] = ModuleType(name, None)
        for each in sorted(public):
            setattr(copies[name], each, _PARTS.get(each, _do_nothing))
    copies["collections"].abc = copies["collections.abc"]  # type: ignore[attr-defined]
    for module, stand_ins in _STAND_INS.items():
        vars(copies[module]).update(stand_ins)
    copies[_STRPTIME] = _copy_strptime()
    _settle_random()
    _settle_library()
    _silence_warnings()
    return copies


def _copy_strptime() -> ModuleType:
    """`datetime.strptime` imports this through the submission's own `__import__`; it gets the parsers
    only."""
    real = importlib.import_module(_STRPTIME)
    copy = ModuleType(_STRPTIME, None)
    for name, value in vars(real).items():
        if name.startswith("_strptime_"):
            setattr(copy, name, value)
    return copy


def _silence_warnings() -> None:
    """A deprecation must not make the standard library look for source files."""
    warnings.simplefilter("ignore")
    warnings.showwarning = lambda *args, **kwargs: None


def _copy_module(module: ModuleType) -> ModuleType:
    """The module's documented names, without other modules, hidden names and what came after Python 3.11."""
    copy = ModuleType(module.__name__, None)
    for name in _public_names(module):
        value = getattr(module, name)
        if isinstance(value, ModuleType):
            continue
        if is_hidden(name, module) and not _is_logging_formatter(module, name):
            continue
        setattr(copy, name, value)
    return copy


def _public_names(module: ModuleType) -> list[str]:
    listed = getattr(module, "__all__", None) or [name for name in vars(module) if not name.startswith("_")]
    newer = NEWER_NAMES.get(module.__name__, ())
    return [name for name in listed if name not in _LEFT_OUT | set(newer) and hasattr(module, name)]


def _is_logging_formatter(module: ModuleType, name: str) -> bool:
    return module.__name__ == "logging" and name == LOGGING_FORMATTER


def _copy_sys() -> ModuleType:
    copy = ModuleType("sys", None)
    for name in SYS_NAMES:
        if hasattr(sys, name):
            setattr(copy, name, getattr(sys, name))
    sink = Sink()
    stand_ins = {"stdout": sink, "stderr": sink, "argv": [SUBMISSION], "exit": _stop, "path": []}
    for name, value in {**stand_ins, "setrecursionlimit": _no_limit_change}.items():
        setattr(copy, name, value)
    return copy


def _settle_random() -> None:
    """Make unseeded `random` repeatable: the same submission must get the same report."""
    plain_seed = random.Random.seed

    def seed(self: random.Random, a: Any = None, version: int = 2) -> None:
        plain_seed(self, 0 if a is None else a, version)

    random.Random.seed = seed  # type: ignore[method-assign]
    random._urandom = bytes  # type: ignore[attr-defined]
    random.seed(0)


def make_builtins(modules: Mapping[str, ModuleType]) -> dict[str, Any]:
    """The built-ins a submission gets."""
    allowed = {
        name: value
        for name, value in vars(builtins).items()
        if name not in MISSING_BUILTINS | NEWER_NAMES["builtins"]
    }
    for name in [name for name in allowed if name.startswith("_")]:
        del allowed[name]

    def import_copy(
        name: str, globs: Any = None, locs: Any = None, names: Any = (), level: int = 0
    ) -> ModuleType:
        if type(name) is not str or level:
            raise ImportError("only the standard library can be imported")
        module = modules.get(name)
        if module is None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return module if names else modules[name.partition(".")[0]]

    return {
        **allowed,
        "__build_class__": builtins.__build_class__,
        "__import__": import_copy,
        "__name__": "builtins",
        "__debug__": True,
        "getattr": guarded_getattr,
        "hasattr": guarded_hasattr,
        "setattr": guarded_setattr,
        "delattr": guarded_delattr,
        "vars": guarded_vars,
        "input": _no_input,
        "exit": _stop,
        "quit": _stop,
    }


# The audit hook.

_HARMLESS_EVENTS = frozenset(
    {
        "array.__new__",
        "builtins.breakpoint",
        "builtins.id",
        "code.__new__",
        "cpython.PyInterpreterState_Clear",
        "gc.freeze",
        "marshal.dumps",
        "marshal.loads",
        "object.__delattr__",
        "object.__getattr__",
        "object.__setattr__",
        "sys.excepthook",
        "sys.unraisablehook",
        "time.sleep",
    }
)
_STDLIB_EVENTS = frozenset({"exec", "compile", "sys._getframe", "sys._getframemodulename", "import"})


def install_audit_hook(refuse: Callable[[str], NoReturn]) -> None:
    """Refuse everything that leaves the process. An audit hook cannot be removed again.

    `exec`, `compile` and frame look-ups are allowed where the standard library makes them (namedtuple,
    dataclasses, logging do); everything else that raises an audit event and is not known to be harmless is
    refused.
    """
    get_frame = sys._getframe
    looking: list[bool] = []  # not empty while the hook itself looks at frames or refuses

    def hook(event: str, args: Any) -> None:
        if looking or event in _HARMLESS_EVENTS:
            return
        looking.append(True)
        if event not in _STDLIB_EVENTS or get_frame(1).f_code.co_filename == SUBMISSION:
            refuse(event)
        looking.clear()

    sys.addaudithook(hook)
