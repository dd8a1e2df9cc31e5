"""Copies of the allowed modules, made once in the warm parent: public names only, some of them stand-ins."""

from __future__ import annotations

import importlib
import io
import random
import sys
import warnings
from collections.abc import Mapping
from types import MappingProxyType, ModuleType, SimpleNamespace
from typing import Any, NoReturn

from grader.sandbox.child.guarded_attributes import SUBMISSION, is_hidden
from grader.sandbox.child.library_stand_ins import STAND_INS, settle_library
from grader.sandbox.policy.names import (
    ALLOWED_MODULES,
    LOGGING_FORMATTER,
    NEWER_NAMES,
    PARTIAL_MODULES,
    SYS_NAMES,
)


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


def stop(code: object = None, /) -> NoReturn:
    """`exit`, `quit` and `sys.exit`: the process ends as if nothing were wrong."""
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
    for module, stand_ins in STAND_INS.items():
        vars(copies[module]).update(stand_ins)
    copies[_STRPTIME] = _copy_strptime()
    _settle_random()
    settle_library()
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
    stand_ins = {"stdout": sink, "stderr": sink, "argv": [SUBMISSION], "exit": stop, "path": []}
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
