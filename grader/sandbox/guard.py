"""What a submission finds inside its process: reduced built-ins, copied modules, and the audit hook."""

from __future__ import annotations

import builtins
import importlib
import random
import sys
import warnings
from collections.abc import Callable, Mapping
from types import BuiltinFunctionType, ModuleType
from typing import Any, NoReturn

from grader.sandbox.names import (
    ALLOWED_MODULES,
    FORBIDDEN_ATTRIBUTES,
    FORBIDDEN_NAMES,
    HARMLESS_DUNDERS,
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


def is_hidden(name: object) -> bool:
    """Whether an attribute by that name leads into the interpreter."""
    if not isinstance(name, str):
        return False
    return name in FORBIDDEN_ATTRIBUTES or (
        name.startswith("__") and name.endswith("__") and name not in HARMLESS_DUNDERS
    )


def _check_name(name: object) -> None:
    if is_hidden(name):
        raise AttributeError("this attribute is not available in a submission")


_MISSING = object()


def guarded_getattr(target: Any, name: str, default: Any = _MISSING, /) -> Any:
    """`getattr` without the interpreter's insides."""
    _check_name(name)
    return getattr(target, name) if default is _MISSING else getattr(target, name, default)


def guarded_hasattr(target: Any, name: str, /) -> bool:
    """`hasattr` that never finds the interpreter's insides."""
    return not is_hidden(name) and hasattr(target, name)


def guarded_setattr(target: Any, name: str, value: Any, /) -> None:
    """`setattr` on the submission's own objects."""
    _check_name(name)
    setattr(target, name, value)


def guarded_delattr(target: Any, name: str, /) -> None:
    """`delattr` on the submission's own objects."""
    _check_name(name)
    delattr(target, name)


def guarded_vars(target: Any) -> Any:
    """`vars(x)` and `x.__dict__` of an instance of a class the submission defined; a copy for everything
    else."""
    kind = type(target)
    if kind.__module__ == SUBMISSION:
        return vars(target)
    raise TypeError("vars() is only available for objects of your own classes")


def guarded_attrgetter(*names: str) -> Callable[[Any], Any]:
    """`operator.attrgetter` without the interpreter's insides."""
    import operator

    for name in names:
        for part in str(name).split("."):
            _check_name(part)
    return operator.attrgetter(*[str(name) for name in names])


def guarded_methodcaller(name: str, /, *args: Any, **kwargs: Any) -> Callable[[Any], Any]:
    """`operator.methodcaller` without the interpreter's insides."""
    import operator

    _check_name(name)
    return operator.methodcaller(str(name), *args, **kwargs)


def _no_input(prompt: object = "", /) -> NoReturn:
    raise EOFError("nobody is there to answer")


def _stop(code: object = None, /) -> NoReturn:
    raise SystemExit(0)


def _no_limit_change(limit: int, /) -> None:
    """`sys.setrecursionlimit` is accepted and ignored; the limit is already set."""


_STRPTIME = "_strptime"
_LOADED_LATE = (_STRPTIME, "linecache", "traceback")
"""Modules that allowed ones import at their first use, when it is too late to read files."""


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
    copies["collections"].abc = copies["collections.abc"]  # type: ignore[attr-defined]
    copies["operator"].attrgetter = guarded_attrgetter  # type: ignore[attr-defined]
    copies["operator"].methodcaller = guarded_methodcaller  # type: ignore[attr-defined]
    copies[_STRPTIME] = _copy_strptime()
    _settle_random()
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
    copy = ModuleType(module.__name__, None)
    for name, value in vars(module).items():
        if name.startswith("_") and module.__name__ != "__future__":
            continue
        if isinstance(value, ModuleType) or name in FORBIDDEN_ATTRIBUTES:
            continue
        if isinstance(value, BuiltinFunctionType) and value is getattr(builtins, name, None):
            continue
        setattr(copy, name, value)
    return copy


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
    allowed = {name: value for name, value in vars(builtins).items() if name not in FORBIDDEN_NAMES}
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
    dataclasses,
    logging do); everything else that raises an audit event and is not known to be harmless is refused.
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
