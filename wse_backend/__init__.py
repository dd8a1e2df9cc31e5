"""The in-process engine that runs GGUF weights, and the wafer: placement, timing, devices.

Each name is imported when it is first asked for (PEP 562): the engine brings a compiler, which somebody who
only wants the wafer's arithmetic, or the list of models, need not load.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wse_backend import models
    from wse_backend.engine.completion import (
        OP_GROUPS,
        Chunk,
        Completion,
        PhaseMeasure,
        RoutedTokens,
        Timing,
        Usage,
    )
    from wse_backend.engine.engine import Engine
    from wse_backend.engine.loading import Load
    from wse_backend.engine.pool import EnginePool
    from wse_backend.engine.sampling import SamplingParams
    from wse_backend.engine.scheduler import RequestHandle
    from wse_backend.errors import (
        BrokenGGUF,
        BrokenTemplate,
        ContextOverflow,
        DiskFull,
        DownloadFailed,
        EngineClosed,
        EngineFailed,
        HashMismatch,
        InvalidMessages,
        InvalidParams,
        NotFinite,
        OutOfMemory,
        QueueFull,
        UnknownModel,
        Unsupported,
        WseError,
    )

__all__ = [
    "OP_GROUPS",
    "BrokenGGUF",
    "BrokenTemplate",
    "Chunk",
    "Completion",
    "ContextOverflow",
    "DiskFull",
    "DownloadFailed",
    "Engine",
    "EngineClosed",
    "EngineFailed",
    "EnginePool",
    "HashMismatch",
    "InvalidMessages",
    "InvalidParams",
    "Load",
    "NotFinite",
    "OutOfMemory",
    "PhaseMeasure",
    "QueueFull",
    "RequestHandle",
    "RoutedTokens",
    "SamplingParams",
    "Timing",
    "UnknownModel",
    "Unsupported",
    "Usage",
    "WseError",
    "models",
]

_HOMES = {
    "Engine": "engine.engine",
    "EnginePool": "engine.pool",
    "RequestHandle": "engine.scheduler",
    "Load": "engine.loading",
    "SamplingParams": "engine.sampling",
    **dict.fromkeys(
        ("OP_GROUPS", "Chunk", "Completion", "PhaseMeasure", "RoutedTokens", "Timing", "Usage"),
        "engine.completion",
    ),
}


def __getattr__(name: str) -> Any:
    """Import a public name from its module and keep it here; all that have no other home are errors."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "models":
        found: Any = import_module(f"{__name__}.models")
    else:
        found = getattr(import_module(f"{__name__}.{_HOMES.get(name, 'errors')}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
