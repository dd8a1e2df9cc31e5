"""The in-process engine that runs GGUF weights, and the wafer: placement, timing, devices."""

from wse_backend import models
from wse_backend.engine.completion import Chunk, Completion, PhaseMeasure, Timing, Usage
from wse_backend.engine.engine import Engine
from wse_backend.engine.kernels.forward import OP_GROUPS
from wse_backend.engine.pool import EnginePool
from wse_backend.engine.sampling import SamplingParams
from wse_backend.engine.scheduler import Generation
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
    "Generation",
    "HashMismatch",
    "InvalidMessages",
    "InvalidParams",
    "OutOfMemory",
    "PhaseMeasure",
    "QueueFull",
    "SamplingParams",
    "Timing",
    "UnknownModel",
    "Unsupported",
    "Usage",
    "WseError",
    "models",
]
