"""The audit hook: the last thing between a submission and whatever leaves its process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NoReturn

from grader.sandbox.child.guarded_attributes import SUBMISSION

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
