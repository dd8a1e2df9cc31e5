"""The built-ins that a submission finds: fewer than Python's, and some with guards."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from types import ModuleType
from typing import Any, NoReturn

from grader.sandbox.child.guarded_attributes import (
    guarded_delattr,
    guarded_getattr,
    guarded_hasattr,
    guarded_setattr,
    guarded_vars,
)
from grader.sandbox.child.module_copies import stop
from grader.sandbox.policy.names import MISSING_BUILTINS, NEWER_NAMES


def _no_input(prompt: object = "", /) -> NoReturn:
    raise EOFError("nobody is there to answer")


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
        "exit": stop,
        "quit": stop,
    }
